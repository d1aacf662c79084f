import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { control, open, skip, watched } from './opened-console.ts';

// The console in use: by keyboard, with live updates, paused, stale, signed out, and with what an
// attacker would send.

/** A call as the service's side recorded it. */
async function recordedCall() {
  const records = (await control.recording('records')) as { items: { reporter: string }[] };
  return records.items.find((record) => record.reporter === 'destination');
}

test('two keys go to each page, and its title says so', { skip }, async () => {
  const page = await open('/');
  await page.getByText('What needs a person').waitFor();
  const pages = [
    ['a', '/alerts', 'Alerts'],
    ['m', '/map', 'Map'],
    ['t', '/traffic', 'Traffic'],
    ['d', '/denials', 'Denials'],
    ['p', '/policies', 'Policies'],
    ['e', '/enforcement', 'Enforcement'],
    ['i', '/identities', 'Identities'],
    ['v', '/evidence', 'Evidence'],
    ['o', '/', 'Overview'],
  ] as const;
  for (const [key, path, title] of pages) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    assert.equal(new URL(page.url()).pathname, path);
    assert.equal(await page.title(), `${title} · Palisade`);
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');
  }
  assert.deepEqual(watched.faults, []);
});

test('the skip link is the first stop, `/` searches, `?` helps, Escape closes', {
  skip,
}, async () => {
  const page = await open('/denials');
  await page.locator('.denial').first().waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate('document.activeElement.className'), 'skip-link');
  await page.keyboard.press('/');
  await page.keyboard.type('catalog');
  await page.locator('.denial').nth(1).waitFor({ state: 'detached' });
  assert.equal(new URL(page.url()).search, '?q=catalog');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('in a table arrows move, Enter opens, Escape closes and gives the focus back', {
  skip,
}, async () => {
  const page = await open('/traffic');
  const rows = page.locator('tbody tr');
  await rows.first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('complementary').waitFor();
  await page.getByRole('heading', { name: 'Every policy considered' }).waitFor();
  await page.getByText('by shop@7: ').waitFor();
  await page.locator('.considered').waitFor();
  const call = new URL(page.url()).searchParams.get('call');
  assert.ok(call !== null && call !== '');
  await page.keyboard.press('Escape');
  await page.getByRole('complementary').waitFor({ state: 'detached' });
  const focused = 'document.activeElement === document.querySelectorAll("tbody tr")[2]';
  assert.equal(await page.evaluate(focused), true);
});

test('an edge of the map opens by keyboard and names identities, TLS and rule', {
  skip,
}, async () => {
  const page = await open('/map');
  await page.getByRole('button', { name: 'web to orders: 3.2/s, encrypted and allowed' }).focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'web to orders' });
  await panel.getByText('X25519MLKEM768').waitFor();
  await panel.getByText('shop/orders, rule 0').waitFor();
  await panel
    .locator('code', { hasText: 'spiffe://cluster.local/ns/shop/sa/web' })
    .first()
    .waitFor();
});

test('the map of an earlier time is its sums: in the address, with the calls of then, claiming no encryption', {
  skip,
}, async () => {
  const page = await open('/map');
  await page.locator('.map-node').first().waitFor();
  await page.getByLabel('Time').selectOption('24h');
  await page
    .getByText(/^\d+ services on \d+ edges, in 24 hours, calls are denied on \d+/)
    .waitFor();
  assert.equal(new URL(page.url()).search, '?since=24h');
  assert.deepEqual(await page.locator('.legend li').allInnerTexts(), [
    'allowed',
    'denied',
    'failing',
  ]);
  await page
    .getByRole('button', { name: /to payments: .* denied/ })
    .first()
    .focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary');
  await panel.getByText('not kept with sums; the calls below say it').waitFor();
  await panel.getByRole('link', { name: 'Calls on this edge' }).click();
  await page.getByRole('heading', { level: 1, name: 'Traffic' }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get('since'), '24h');
  assert.deepEqual(watched.faults, []);
});

test('a signed change opens and shows each resource as it was and became', { skip }, async () => {
  const page = await open('/policies?ns=shop');
  await page.getByRole('grid').waitFor();
  await page.getByRole('row').filter({ hasText: 'AuthorizationPolicy/payments' }).focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Signed change shop, version 7' });
  await panel.locator('[data-diff=removed]', { hasText: '/ns/shop/sa/web' }).waitFor();
  await panel.locator('[data-diff=added]', { hasText: '/ns/shop/sa/orders' }).waitFor();
  await panel.getByText('Of the newest 5,000 calls').waitFor();
  const row = panel.getByRole('row').filter({ hasText: 'POST /charge' }).first();
  assert.match(await row.innerText(), /web[\s\S]*payments[\s\S]*now denied[\s\S]*41/);
  assert.equal(new URL(page.url()).searchParams.get('version'), '7');
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
});

test('an address reproduces its view and the command says the same', { skip }, async () => {
  const page = await open('/traffic?denied=true&from=intruder&since=1h');
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.getByLabel('Denied only').isChecked(), true);
  assert.equal(await page.getByRole('textbox', { name: 'From' }).inputValue(), 'intruder');
  const outcomes = await page.locator('td[data-head=Outcome]').allInnerTexts();
  assert.ok(outcomes.length > 0 && outcomes.every((text) => text.includes('denied')));
  const command = 'palisade log --follow --denied --from intruder --since 1h';
  await page.getByRole('button', { name: `Copy the command ${command}` }).click();
  assert.equal(await page.evaluate('navigator.clipboard.readText()'), command);
});

test('the smallest change can be taken along whole', { skip }, async () => {
  const page = await open('/denials');
  await page.getByRole('button', { name: 'Copy the policy' }).click();
  const copied = await page.evaluate<string>('navigator.clipboard.readText()');
  assert.match(copied, /^apiVersion: security\.istio\.io\/v1\nkind: AuthorizationPolicy\n/);
  // The name that a change lets in is its point: it may not run out of the picture.
  const cut =
    '[...document.querySelectorAll(".source")].filter((one) => one.scrollWidth > one.clientWidth).length';
  assert.equal(await page.evaluate(cut), 0);
});

test('where a denial is an attack, the command that ends the caller is at hand', {
  skip,
}, async () => {
  const page = await open('/denials');
  await page.getByRole('heading', { name: 'If it is an attack' }).waitFor();
  const command = page.getByRole('button', {
    name: /^Copy the command palisade identity revoke spiffe:/,
  });
  assert.match((await command.getAttribute('aria-label')) ?? '', / --reason 'denied at shop\//);
  await page.getByRole('link', { name: 'What that cuts' }).first().click();
  await page.getByRole('complementary', { name: /^Revoke / }).waitFor();
});

test('what a revocation cuts is shown before its name is asked for, and the name before its command', {
  skip,
}, async () => {
  const page = await open('/identities?q=web');
  await page.locator('tbody tr', { hasText: 'shop/sa/web' }).first().click();
  const panel = page.getByRole('complementary', { name: 'Revoke web' });
  await panel
    .getByText(/^It takes 2 certificates and cuts 4 edges with 6,274 calls and 3 TCP/)
    .waitFor();
  await panel.getByRole('row', { name: 'ingress to web.shop' }).getByText('1,210').waitFor();
  await page
    .getByText(/^palisade identity revoke spiffe:\S+\/web --dry-run$/)
    .first()
    .waitFor();
  const command = panel.getByRole('button', { name: /^Copy the command/ });
  const name = panel.getByLabel('Name');
  await name.fill('orders');
  assert.equal(await command.count(), 0);
  await name.fill('web');
  await panel.getByLabel('Reason').fill("key on ann's laptop");
  const copied = async () => (await command.getAttribute('aria-label')) ?? '';
  assert.match(await copied(), /revoke spiffe:\S+\/web --reason 'key on ann'\\''s laptop'$/);
  // Another choice is another question: what was typed for the one before counts no more.
  await panel.getByRole('radio', { name: /What is issued so far/ }).check();
  await panel.getByText('Type web, and the command stands here.').waitFor();
  await name.fill('web');
  assert.match(await copied(), /revoke spiffe:\S+\/web --issued-before now$/);
  await panel.getByRole('radio', { name: /This certificate/ }).check();
  await name.fill('web');
  assert.match(await copied(), /revoke 3b9d77d9b315ff513b9d77d9b315ff51$/);
  assert.equal(new URL(page.url()).searchParams.get('scope'), 'serial');
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  assert.deepEqual(watched.faults, []);
});

test('a link and a fold in a row do what they say and do not open the row', { skip }, async () => {
  const page = await open('/identities?q=web');
  const row = page.locator('tbody tr', { hasText: 'shop/sa/web' }).first();
  await row.locator('summary').click();
  await row.getByText('unix:uid:1000').waitFor();
  assert.equal(new URL(page.url()).searchParams.has('revoke'), false);
  await row.getByRole('link', { name: 'shop, version 7' }).click();
  await page.getByRole('heading', { level: 1, name: 'Policies' }).waitFor();
  const { pathname, search } = new URL(page.url());
  assert.equal(pathname + search, '/policies?ns=shop&version=7');
});

test('what is shown comes as CSV and JSON', { skip }, async () => {
  const page = await open('/enforcement');
  await page.getByRole('grid').waitFor();
  const read = async (name: string): Promise<string> => {
    const arriving = page.waitForEvent('download');
    await page.getByRole('button', { name }).click();
    const download = await arriving;
    return readFile(await download.path(), 'utf8');
  };
  const csv = await read('CSV');
  assert.match(csv, /^point,node,spiffe_id,state,reason,namespace,wanted,enforced,/);
  assert.match(csv, /\r\ncatalog,shop\/catalog\/1,.*,stale,.*,shop,7,6,/);
  const json = JSON.parse(await read('JSON')) as unknown[];
  assert.equal(json.length, csv.trim().split('\r\n').length - 1);
});

test('an announcement patches the row in place', { skip }, async () => {
  const page = await open('/enforcement');
  const row = page.locator('tbody tr', { hasText: 'inventory' });
  await row.getByText('not ready').waitFor();
  await page.evaluate(
    '[...document.querySelectorAll("tbody tr")].find((row) => /inventory/.test(row.innerText)).dataset.marked = "yes"',
  );
  const points = (await control.recording('enforcement-points')) as {
    items: { service: string }[];
  };
  const healed = points.items.map((point) =>
    point.service === 'inventory' ? { ...point, ready: true, readyReason: '' } : point,
  );
  control.answer('/enforcement-points', 200, { items: healed, next: null });
  control.announce('enforcement', { node: 'shop/inventory/1' });
  await row.getByText('enforces').waitFor();
  assert.equal(await row.getAttribute('data-marked'), 'yes');
});

test('new calls arrive at the top, hold still under the pointer, and stop when paused', {
  skip,
}, async () => {
  const page = await open('/traffic');
  const paths = page.locator('td[data-head=Request]');
  await paths.first().waitFor();
  const sample = await recordedCall();
  const send = (path: string): void =>
    control.sendRecord({ ...sample, path, 'record.id': path, time: new Date().toISOString() });
  send('/first');
  await paths.first().getByText('/first').waitFor();
  await paths.nth(3).hover();
  send('/second');
  await page.getByText('1 waiting').waitFor();
  assert.match(await paths.first().innerText(), /\/first/);
  await page.mouse.move(2, 2);
  await paths.first().getByText('/second').waitFor();
  assert.ok((await page.evaluate<number>('window.layoutShift')) < 0.02);
  await page.getByRole('button', { name: 'Pause live updates' }).click();
  await page.getByText(/^paused/).waitFor();
});

test('when the control plane fails, the old answer stays and says how old it is', {
  skip,
}, async () => {
  const page = await open('/enforcement');
  await page.getByRole('grid').waitFor();
  control.answer('/enforcement-points', 503, {
    status: 503,
    code: 'unavailable',
    detail: 'the store is busy',
  });
  control.announce('enforcement', {});
  await page
    .getByText(/The control plane answered: the store is busy\. Shown is what it said \d+ s ago\./)
    .waitFor();
  assert.equal(await page.getByRole('grid').isVisible(), true);
});

test('a session that is over shows a calm page and asks no more', { skip }, async () => {
  control.answer('/mesh', 401, { status: 401, code: 'unauthenticated', detail: 'sign in' });
  const page = await open('/denials');
  await page.getByRole('heading', { name: 'This link has been used or has expired' }).waitFor();
  await page.getByText('palisade doctor').waitFor();
});

test('an empty mesh says what to do', { skip }, async () => {
  control.answer('/denials', 200, { items: [], next: null });
  control.answer('/resources', 200, { items: [], next: null });
  const page = await open('/denials');
  await page.getByText('Nobody was stopped.').waitFor();
  await page.goto(`${control.url}/policies`);
  await page.getByText('palisade init policies').waitFor();
});

test('attack: a caller whose path is markup stays text', { skip }, async () => {
  const path = `/<img src=x onerror="document.title='owned'">`;
  const items = [{ ...(await recordedCall()), path, host: path, 'source.service': path }];
  control.answer('/records', 200, { items, next: null });
  const page = await open('/traffic');
  await page.locator('td[data-head=Request]', { hasText: '<img' }).waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.equal(await page.title(), 'Traffic · Palisade');
  assert.deepEqual(watched.faults, []);
});

test('the theme toggle goes round and is remembered', { skip }, async () => {
  const page = await open('/');
  const ground = (): Promise<string> =>
    page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
  const light = await ground();
  await page.getByRole('button', { name: 'Theme: system' }).click();
  await page.getByRole('button', { name: 'Theme: light' }).click();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  assert.equal(await ground(), dark);
});
