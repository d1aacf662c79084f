import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type BigMesh, startBigMesh } from './big-mesh.ts';
import {
  checkAccessible,
  checkFits,
  LOOKS,
  launchBrowser,
  openPage,
  whySkipped,
} from './browser.ts';
import { LOST, TRACE_ID } from './reported-calls.ts';

// A real control plane with 200 services. The map stays readable, says what is wrong wherever it is folded
// away, and answers within 100 ms; the dashboards show what was reported, at two sizes and in both themes.

const skip = await whySkipped();
const MAX_INTERACTION_MS = 100;
/** A machine that does other things too is slow now and then: what was slow is tried again, so often at most. */
const ROUNDS = 8;

let browser: Browser;
let mesh: BigMesh;
let screenshots: string;

before(async () => {
  if (skip !== false) return;
  mesh = await startBigMesh();
  browser = await launchBrowser();
  screenshots = await mkdtemp(join(tmpdir(), 'palisade-big-mesh-'));
});

after(async () => {
  await browser?.close();
  await mesh?.close();
  if (skip === false) process.stdout.write(`screenshots in ${screenshots}\n`);
});

/** Signs in and opens the map. */
async function openMap(): Promise<Page> {
  const { page } = await openPage(browser, { theme: 'light', width: 1280 }, mesh.url);
  await page.addInitScript(OBSERVE_INTERACTIONS);
  await page.goto(mesh.signInLink());
  await page.goto(`${mesh.url}/map`);
  await page.locator('.map-node').first().waitFor();
  return page;
}

// From the input to the next frame that shows what it did, as the browser itself measures it.
const OBSERVE_INTERACTIONS = `
  window.interactions = [];
  new PerformanceObserver((list) => {
    for (const { name, duration, interactionId } of list.getEntries()) {
      if (interactionId) window.interactions.push({ name, duration });
    }
  }).observe({ type: 'event', durationThreshold: 16, buffered: true });
`;

test('200 services are shown by namespace, and nothing that is wrong is folded away', {
  skip,
}, async () => {
  const page = await openMap();
  const nodes = page.locator('.map-node');
  assert.equal(await nodes.count(), 10);
  assert.match(await page.locator('.sentence').innerText(), /^200 services on \d{3} edges/);
  const words = await nodes.evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
  assert.ok(
    words.some((label) => /plaintext|denied/.test(label ?? '')),
    words.join(', '),
  );
  await page.screenshot({ path: join(screenshots, 'folded.png') });

  await page.getByRole('button', { name: /^namespace billing:/ }).click();
  await page.locator('.map-node').nth(28).waitFor();
  assert.equal(new URL(page.url()).searchParams.get('open'), 'billing');
  await page.getByRole('button', { name: 'billing-sync 1 of 1 stale' }).waitFor();
  await page.screenshot({ path: join(screenshots, 'opened.png') });

  await page.getByRole('button', { name: /^billing-gateway billing / }).click();
  await page.getByRole('button', { name: 'Show all, not only billing-gateway' }).waitFor();
  const near = await nodes.count();
  assert.ok(near > 3 && near < 16, `${near} neighbours`);
  await page.screenshot({ path: join(screenshots, 'focused.png') });
  await page.context().close();
});

test('a service is found by its name though its namespace is folded', { skip }, async () => {
  const page = await openMap();
  await page.keyboard.press('/');
  await page.keyboard.type('reports-pri');
  await page.getByRole('button', { name: /^reports-pricing reports / }).waitFor();
  assert.equal(await page.locator('.map-node').count(), 11);
  await page.reload();
  await page.getByRole('button', { name: /^reports-pricing reports / }).waitFor();
  await page.screenshot({ path: join(screenshots, 'found.png') });
  await page.context().close();
});

const INTERACTIONS: readonly { name: string; act: (page: Page) => Promise<void> }[] = [
  {
    name: 'a namespace opens',
    act: (page) => page.getByRole('button', { name: /^namespace billing:/ }).click(),
  },
  {
    name: 'a second one opens',
    act: (page) => page.getByRole('button', { name: /^namespace search:/ }).click(),
  },
  { name: 'an edge opens', act: (page) => page.locator('tbody tr').first().click() },
  { name: 'it closes', act: (page) => page.keyboard.press('Escape') },
  {
    name: 'a service is focused',
    act: (page) => page.getByRole('button', { name: /^billing-gateway billing / }).press('Enter'),
  },
  {
    name: 'all are shown again',
    act: (page) => page.getByRole('button', { name: /^Show all/ }).click(),
  },
  { name: 'a letter is typed', act: (page) => page.getByRole('searchbox').press('p') },
  { name: 'another one', act: (page) => page.getByRole('searchbox').press('r') },
];

test('every interaction costs the page less than 100 ms', { skip }, async () => {
  const best = new Map<string, Cost>();
  const page = await openMap();
  const measure = await costOf(page);
  const slow = (): readonly string[] =>
    INTERACTIONS.map(({ name }) => name).filter(
      (name) => !((best.get(name)?.workMs ?? Number.NaN) <= MAX_INTERACTION_MS),
    );
  for (let round = 0; round < ROUNDS && slow().length > 0; round += 1) {
    await page.goto(`${mesh.url}/map`);
    await page.locator('.map-node').first().waitFor();
    for (const { name, act } of INTERACTIONS) {
      const cost = await measure(() => act(page));
      if (cost.workMs < (best.get(name)?.workMs ?? Number.POSITIVE_INFINITY)) best.set(name, cost);
    }
  }
  await page.context().close();
  const costs = Array.from(best, ([name, { workMs, shownMs }]) => {
    return `${name}: ${workMs.toFixed(0)} ms of work, shown after ${shownMs} ms`;
  });
  process.stdout.write(`${costs.join('\n')}\n`);
  assert.deepEqual(slow(), []);
});

test('new counts patch the picture and move nothing', { skip }, async () => {
  const page = await openMap();
  const places =
    'JSON.stringify([...document.querySelectorAll(".map-node")].map((node) => node.getAttribute("transform")))';
  const before = await page.evaluate<string>(places);
  const rate = (): Promise<string> => page.locator('td[data-head=Rate]').first().innerText();
  const shown = await rate();
  await mesh.reportCalls();
  const deadline = Date.now() + 8_000;
  while ((await rate()) === shown && Date.now() < deadline) await page.waitForTimeout(100);
  assert.notEqual(await rate(), shown);
  assert.equal(await page.evaluate<string>(places), before);
  await page.context().close();
});

/** Each dashboard, and something on it that only a report could have brought there. */
const DASHBOARDS: readonly { readonly path: string; readonly shows: string }[] = [
  { path: '/', shows: '.strip li:nth-child(2):has-text("10")' },
  { path: '/alerts', shows: 'role=grid[name="Denials and errors by edge"] >> text=checkout-api' },
  { path: '/map', shows: '.map-node' },
  { path: `/traffic/traces/${TRACE_ID}`, shows: '.waterfall >> text=denied 403' },
  { path: '/evidence', shows: 'role=grid[name="Audit events"] >> text=policy.commit' },
  { path: '/evidence?view=completeness', shows: `text=records ${LOST.first} to ${LOST.last}` },
];

test('attack: markup and a terminal escape in a reported path are text', { skip }, async () => {
  const watched = await openPage(browser, { theme: 'light', width: 1280 }, mesh.url);
  await watched.page.goto(mesh.signInLink());
  await watched.page.goto(`${mesh.url}/traffic?since=1h&where=path~onerror`);
  await watched.page.locator('td >> text=/<img src=x onerror=.*␛\\[2J/').first().waitFor();
  assert.equal(await watched.page.locator('img').count(), 0);
  assert.deepEqual(watched.faults, []);
  await watched.page.context().close();
});

for (const look of LOOKS) {
  test(`the dashboards of a real control plane, ${look.theme} at ${look.width} px`, {
    skip,
  }, async () => {
    const watched = await openPage(browser, look, mesh.url);
    await watched.page.goto(mesh.signInLink());
    for (const { path, shows } of DASHBOARDS) {
      await watched.page.goto(mesh.url + path);
      await watched.page.locator(shows).first().waitFor();
      const file = `${path.replaceAll(/[^a-z]+/g, '-')}-${look.theme}-${look.width}.png`;
      await watched.page.screenshot({ path: join(screenshots, file) });
      await checkFits(watched);
      await checkAccessible(watched);
      assert.deepEqual(watched.faults.splice(0), [], path);
    }
    await watched.page.context().close();
  });
}

/** What an action cost: CPU time of the page's main thread, and what the browser says it took to be seen. */
type Cost = { readonly workMs: number; readonly shownMs: number };

/**
 * Measures by the main thread's own CPU time, so that what else the machine does counts for nothing. What the
 * browser says (in steps of 8 ms, nothing below 16) is told besides.
 */
async function costOf(page: Page): Promise<(act: () => Promise<void>) => Promise<Cost>> {
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable', { timeDomain: 'threadTicks' });
  const workedMs = async (): Promise<number> => {
    const { metrics } = await client.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN) * 1000;
  };
  return async (act) => {
    await page.evaluate('window.interactions.length = 0');
    const before = await workedMs();
    await act();
    await page.evaluate('new Promise((done) => setTimeout(done, 150))');
    const workMs = (await workedMs()) - before;
    const shown = await page.evaluate<number[]>('window.interactions.map((one) => one.duration)');
    return { workMs, shownMs: Math.max(0, ...shown) };
  };
}
