import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import {
  checkAccessible,
  checkFits,
  checkStill,
  LOOKS,
  launchBrowser,
  openPage,
  whySkipped,
} from './browser.ts';
import { type FakeControl, startFakeControl } from './fake-control.ts';

// Every page in both themes and at both widths: it is accessible, stands still, breaks no content
// security policy and fits its screen. Screenshots are for people; the path is printed.

const skip = await whySkipped();
const DIST = join(import.meta.dirname, '../../console/dist');
const MAX_BUNDLE_BYTES = 250_000;
const EDGE = encodeURIComponent('spiffe://cluster.local/ns/shop/sa/intruder>shop/payments');

/** What a page shows once its answers are there. */
const PAGES: readonly { readonly name: string; readonly path: string; readonly shows: string }[] = [
  { name: 'overview', path: '/', shows: 'text=What needs a person' },
  { name: 'alerts', path: '/alerts', shows: 'role=grid[name="Burn rates"]' },
  {
    name: 'alerts-runbook',
    path: '/alerts?alert=sink-failing%3Bsink%3Dsiem&runbook=enforcement-point-stale',
    shows: '.panel',
  },
  { name: 'map', path: '/map', shows: '.map-node >> nth=8' },
  { name: 'map-edge', path: `/map?edge=${EDGE}`, shows: '.panel >> text=Last denials' },
  { name: 'traffic', path: '/traffic', shows: 'role=grid[name="Calls"]' },
  { name: 'traffic-call', path: '/traffic?call=shop-payments-8995', shows: '.panel .steps' },
  { name: 'trace', path: '/traffic/traces/4bf92f3577b34da6a3ce929d0e0e4736', shows: '.missing' },
  {
    name: 'trace-call',
    path: '/traffic/traces/4bf92f3577b34da6a3ce929d0e0e4736?call=shop-payments-t8',
    shows: '.panel .stages',
  },
  { name: 'denials', path: '/denials', shows: '.denial >> nth=2' },
  { name: 'denial', path: '/denials/dn-01JQ8W3C5R', shows: '.considered' },
  { name: 'policies', path: '/policies', shows: 'role=grid[name="Signed changes of shop"]' },
  {
    name: 'policies-version',
    path: '/policies?ns=shop&version=7',
    shows: '.panel [data-diff=added]',
  },
  {
    name: 'policies-compare',
    path: '/policies?view=compare&ns=shop&before=6&after=7',
    shows: 'text=What was written differently',
  },
  { name: 'policies-ask', path: '/policies?view=ask&to=orders', shows: 'text=May this call pass?' },
  { name: 'policies-dry-run', path: '/policies?view=dry-run', shows: '.effect' },
  { name: 'policies-tests', path: '/policies?view=tests', shows: 'textarea' },
  { name: 'enforcement', path: '/enforcement', shows: 'role=grid[name="Enforcement points"]' },
  { name: 'identities', path: '/identities', shows: '.horizon-now' },
  {
    name: 'identities-expiring',
    path: '/identities?q=web',
    shows: 'role=grid[name="What else expires"]',
  },
  {
    name: 'identities-revoke',
    path: `/identities?revoke=${encodeURIComponent('spiffe://cluster.local/ns/shop/sa/web')}`,
    shows: '.panel .cuts',
  },
  { name: 'evidence', path: '/evidence', shows: 'role=grid[name="Audit events"]' },
  { name: 'evidence-event', path: '/evidence?event=1204', shows: '.panel [data-diff=added]' },
  {
    name: 'evidence-completeness',
    path: '/evidence?view=completeness',
    shows: 'role=grid[name="Completeness by source"]',
  },
  { name: 'evidence-sinks', path: '/evidence?view=sinks', shows: 'role=grid[name="Sinks"]' },
  { name: 'nowhere', path: '/nowhere', shows: 'text=There is no page here' },
];
let browser: Browser;
let control: FakeControl;
let screenshots: string;

before(async () => {
  if (skip !== false) return;
  control = await startFakeControl();
  browser = await launchBrowser();
  screenshots = await mkdtemp(join(tmpdir(), 'palisade-console-'));
});

after(async () => {
  await browser?.close();
  await control?.close();
  if (skip === false) process.stdout.write(`screenshots in ${screenshots}\n`);
});

for (const look of LOOKS) {
  test(`every page, ${look.theme} at ${look.width} px`, { skip }, async (t) => {
    const watched = await openPage(browser, look, control.url);
    for (const { name, path, shows } of PAGES) {
      await t.test(name, async () => {
        await watched.page.goto(control.url + path);
        await watched.page.locator(shows).first().waitFor();
        const file = `${name}-${look.theme}-${look.width}.png`;
        await watched.page.screenshot({ path: join(screenshots, file) });
        await checkStill(watched);
        await checkFits(watched);
        await checkAccessible(watched);
        assert.deepEqual(watched.faults.splice(0), []);
      });
    }
    await watched.page.context().close();
  });
}

test('the built console is at most 250 kB compressed', async () => {
  const names = await readdir(join(DIST, 'assets'));
  const files = await Promise.all(names.map((name) => readFile(join(DIST, 'assets', name))));
  const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  assert.ok(bytes > 10_000 && bytes <= MAX_BUNDLE_BYTES, `${bytes} bytes`);
});

test('the document of the console has no inline script and no inline style', async () => {
  const html = await readFile(join(DIST, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=/i);
});
