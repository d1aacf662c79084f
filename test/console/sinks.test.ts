import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Fixture, startFixture } from '../../src/control/control-fixture.ts';
import { launchBrowser, openPage, whySkipped } from './browser.ts';

// The page of sinks of a real control plane that delivers to a receiver which is there, and then is not.

const skip = await whySkipped();
const DIST = join(import.meta.dirname, '../../console/dist');
const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';

let browser: Browser;
let mesh: Fixture;
let receiver: Server;
let status = 204;
let taken = 0;

before(async () => {
  if (skip !== false) return;
  receiver = createServer((request, response) => {
    request.resume().on('end', () => {
      if (status === 204) taken += 1;
      response.writeHead(status).end();
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  mesh = await startFixture({ assets: DIST });
  const secrets = join(mesh.folder, 'control', 'sinks', 'secrets');
  mkdirSync(secrets, { recursive: true });
  writeFileSync(join(secrets, 'soar'), `${SECRET}\n`);
  const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/in`;
  const applied = await mesh.apply('palisade-system', {
    'Sink/soar': {
      apiVersion: 'palisade.dev/v1',
      kind: 'Sink',
      metadata: { name: 'soar', namespace: 'palisade-system' },
      spec: {
        format: 'json',
        limits: { maxQueueBytes: 1 << 20, maxAge: '1h', maxBatch: 100, timeout: '2s' },
        paused: false,
        evidence: { audit: {} },
        webhook: { endpoint, compression: 'none', signing: { secret: { file: 'soar' } } },
      },
    },
  });
  assert.equal(applied.status, 201, applied.text);
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await mesh?.close();
  receiver?.close();
});

test('a sink’s deliveries, and the answer of a receiver that fails, are on its page as they happen', {
  skip,
}, async () => {
  const link = mesh.control().signInLink() ?? '';
  const { page, faults } = await openPage(
    browser,
    { theme: 'light', width: 1280 },
    new URL(link).origin,
  );
  await page.goto(link);
  await page.goto(`${new URL(link).origin}/evidence?view=sinks`);
  const row = page.getByRole('row').filter({ hasText: 'soar' });
  await row.getByText('delivering').waitFor();
  assert.ok(taken > 0, 'the commit and the sign-in were delivered');
  await page.getByRole('button', { name: 'Test soar' }).click();
  await row
    .locator('.sink-answers')
    .getByText(/audit: taken/)
    .waitFor();
  status = 503;
  assert.equal((await mesh.call('POST', '/api/v1/console/links')).status, 201);
  await row.getByText(/503/).waitFor();
  assert.equal(await row.getByText('delivering').count(), 0);
  status = 204;
  const before = taken;
  await row.getByText('delivering').waitFor();
  assert.ok(taken > before, 'what waited was delivered');
  assert.deepEqual(faults, []);
});
