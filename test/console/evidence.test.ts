import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { control, open, skip, watched } from './opened-console.ts';

// Overview, alerts, evidence and traces in use: what opens, what is copied, what is chosen by a drag, what is
// shown where nothing is or nothing answers, and what an attacker's text becomes in them.

function copied(page: Page): Promise<string> {
  return page.evaluate<string>('navigator.clipboard.readText()');
}

test('an alert has its evidence, cause, runbook and a safe command; the page comes before tickets', {
  skip,
}, async () => {
  const page = await open('/alerts');
  const heads = page.locator('.alert-head');
  await heads.nth(2).waitFor();
  assert.match(await heads.nth(0).innerText(), /page/);
  await page.getByText(/lost its connection to the control plane/).waitFor();
  await page
    .getByRole('button', { name: 'Copy the command palisade status --namespace shop' })
    .click();
  assert.equal(await copied(page), 'palisade status --namespace shop');
  await page.getByRole('link', { name: 'catalog acknowledged version 6' }).click();
  await page.getByRole('heading', { level: 1, name: 'Enforcement' }).waitFor();
  assert.equal(new URL(page.url()).search, '?q=catalog');
});

test('a runbook opens beside the alert, from the documentation itself', { skip }, async () => {
  const page = await open('/alerts');
  await page.getByRole('link', { name: 'Runbook: enforcement-point-stale' }).click();
  const panel = page.getByRole('complementary', { name: 'Runbook enforcement-point-stale' });
  await panel.locator('.document h3').nth(1).waitFor();
  assert.equal(await panel.getByText('This console was built without').count(), 0);
  assert.equal(new URL(page.url()).searchParams.get('runbook'), 'enforcement-point-stale');
  await page.goto(`${control.url}/alerts?runbook=..%2F..%2Fsecrets`);
  await page.getByText('This console was built without a runbook of that name.').waitFor();
});

test('a silence is a command with its reason and end, made by whoever runs it', {
  skip,
}, async () => {
  const page = await open('/alerts');
  await page.getByText('Silence it').click();
  await page.locator('.silence').getByRole('textbox').fill(`the host's disk is being replaced`);
  await page.locator('.silence select').selectOption('8h');
  await page.locator('.silence .command button').click();
  assert.equal(
    await copied(page),
    `palisade alerts silence 'enforcement-point-stale;service=shop/catalog' --for 8h --reason 'the host'\\''s disk is being replaced'`,
  );
});

test('evidence of denials leads to those of that service alone', { skip }, async () => {
  const page = await open('/denials?to=shop%2Fpayments');
  await page.locator('.denial').first().waitFor();
  const heads = await page.locator('.denial-head').allInnerTexts();
  assert.ok(heads.length > 0 && heads.every((head) => /payments/.test(head)), heads.join(', '));
  await page.getByText('palisade log --denied --to shop/payments').waitFor();
  await page.getByRole('button', { name: 'Show all, not only calls to shop/payments' }).click();
  await page.locator('.denial').nth(heads.length).waitFor();
});

test('a drag over the strip chooses the time, and the calls behind it have the same', {
  skip,
}, async () => {
  const page = await open('/');
  const box = await page.locator('.strip .sparkline').first().boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.25, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 10, { steps: 4 });
  await page
    .getByText(/^\d\d-\d\d \d\d:\d\d:\d\d \S+: [\d,]+ calls, \d+ denied, \d+ errors$/)
    .waitFor();
  await page.mouse.up();
  await page.locator('input.instant').first().waitFor();
  const chosen = new URL(page.url()).searchParams;
  const minutes =
    (Date.parse(chosen.get('until') ?? '') - Date.parse(chosen.get('since') ?? '')) / 60_000;
  assert.ok(minutes > 10 && minutes < 20, `${minutes} minutes of 60`);
  await page.locator('.strip').getByRole('link', { name: 'Denied' }).click();
  await page.getByRole('heading', { level: 1, name: 'Traffic' }).waitFor();
  const kept = new URL(page.url()).searchParams;
  assert.deepEqual([kept.get('since'), kept.get('denied')], [chosen.get('since'), 'true']);
});

test('each chart has its numbers as a table', { skip }, async () => {
  const page = await open('/');
  const tables = page.getByText('As a table');
  await tables.nth(1).waitFor();
  await tables.nth(0).click();
  const rows = page
    .getByRole('table', { name: 'Calls, denials and errors over time' })
    .getByRole('row');
  assert.equal(await rows.count(), 62);
  await tables.nth(1).click();
  await page
    .getByRole('table', { name: 'Posture score over time' })
    .getByRole('row')
    .nth(14)
    .waitFor();
});

test('beside an open call a trace still shows its bars, times and how each call ended', {
  skip,
}, async () => {
  const page = await open('/traffic/traces/4bf92f3577b34da6a3ce929d0e0e4736?call=shop-payments-t8');
  await page.locator('.panel .stages').waitFor();
  const cut = await page.evaluate<string[]>(`(() => {
    const edge = document.querySelector('.table-scroll').getBoundingClientRect().right;
    const isCut = (part, within) => part.getBoundingClientRect().right > within + 1;
    return [...document.querySelectorAll('.waterfall td')].flatMap((cell) => {
      const states = [...cell.querySelectorAll('.state')];
      const right = cell.getBoundingClientRect().right;
      return [...(isCut(cell, edge) ? [cell] : []), ...states.filter((state) => isCut(state, right))];
    }).map((part) => part.innerText);
  })()`);
  assert.deepEqual(cut, []);
});

test('a certificate whose process ended is not late, and needs nobody', { skip }, async () => {
  const identities = (await control.recording('identities')) as { items: { heldBy: unknown }[] };
  const late = identities.items.find(({ heldBy }) => heldBy === 'data/ledger/1');
  const answer = () => control.answer('/identities', 200, identities);
  answer();
  let page = await open('/identities');
  await page.locator('.horizon-row[data-tone="late"] >> text=renewal is late').waitFor();
  if (late !== undefined) late.heldBy = null;
  answer();
  page = await open('/identities');
  await page.locator('.horizon-row[data-tone="ended"] >> text=process ended').waitFor();
  page = await open('/alerts');
  await page.getByText('None is late to renew').waitFor();
});

test('a trace opens the call of each row, and what is missing is said', { skip }, async () => {
  const page = await open('/traffic/traces/4bf92f3577b34da6a3ce929d0e0e4736');
  await page.getByRole('button', { name: 'POST /charge', exact: true }).press('Enter');
  const panel = page.getByRole('complementary');
  await panel.getByRole('heading', { name: 'Where the time went' }).waitFor();
  await panel.getByRole('link', { name: 'Every policy considered' }).waitFor();
  await page.getByText(/282 records of shop\/catalog\/1/).waitFor();
  assert.match(page.url(), /\?call=shop-payments-t8$/);
});

test('audit events are filtered where they are kept, older ones follow, and one opens its diff', {
  skip,
}, async () => {
  const page = await open('/evidence');
  await page.getByRole('grid', { name: 'Audit events' }).waitFor();
  const asking = page.waitForRequest((request) => request.url().includes('actor=ann'));
  await page.getByLabel('Who').fill('ann');
  assert.match(
    (await asking).url(),
    /\/api\/v1\/audit\?log=control&actor=ann&since=24h&limit=100$/,
  );
  await page.getByText('palisade audit search --log control --actor ann').waitFor();
  const older = page.waitForRequest((request) => request.url().includes('cursor=1181'));
  await page.getByRole('button', { name: 'Older events' }).click();
  await older;
  await page.locator('tbody tr').first().click();
  await page.locator('.panel [data-diff=removed]').first().waitFor();
});

test('a sink is tested, and each kind of evidence says what was answered', { skip }, async () => {
  const page = await open('/evidence?view=sinks');
  await page.getByRole('button', { name: 'Test siem' }).click();
  await page.getByText('records: taken').waitFor();
  await page.getByText('audit: 503 maintenance').waitFor();
  control.answer('/sinks/archive/test', 403, { status: 403, code: 'read_only', detail: 'reads' });
  await page.getByRole('button', { name: 'Test archive' }).click();
  await page.getByText('palisade sink test archive').waitFor();
});

test('a control plane that knows nothing of it is not painted green', { skip }, async () => {
  const problem = { status: 404, code: 'not_found', detail: 'there is no `GET /api/v1/x`' };
  for (const path of [
    '/alerts',
    '/posture',
    '/rollups',
    '/slos',
    '/completeness',
    '/sinks',
    '/audit',
    '/audit/verification',
  ]) {
    control.answer(path, 404, problem);
  }
  const page = await open('/');
  await page.getByText(/^Alerts are not among these/).waitFor();
  await page.getByText(/^The store’s sums cannot be read/).waitFor();
  await page.goto(`${control.url}/alerts`);
  await page.getByText('Without the audit log only the newest signed policy is known.').waitFor();
  assert.equal(await page.getByText('Nothing is firing').count(), 0);
  await page.goto(`${control.url}/evidence`);
  await page.getByText('The control plane has not said yet what it can prove.').waitFor();
  assert.equal(await page.getByText('verified').count(), 0);
});

test('where nothing is, the page says what would be there', { skip }, async () => {
  const none = { items: [], next: null };
  control.answer('/alerts', 200, none);
  control.answer('/slos', 200, none);
  control.answer('/sinks', 200, none);
  control.answer('/audit', 200, { items: [], next_cursor: null });
  control.answer('/completeness', 200, { sources: [], ratio: null });
  control.answer('/traces/none', 200, { trace_id: 'none', spans: [], records: [], missing: [] });
  const page = await open('/alerts');
  await page.getByText('Nothing is firing that wants a person.').waitFor();
  await page.getByText('No objective is set.').waitFor();
  for (const [path, words] of [
    ['/evidence', 'No event fits.'],
    ['/evidence?view=sinks', 'No sink is set up.'],
    ['/evidence?view=completeness', 'No source issued a record.'],
    ['/traffic/traces/none', 'No record of this trace is kept.'],
  ] as const) {
    await page.goto(control.url + path);
    await page.locator('.empty-title', { hasText: words }).waitFor();
  }
});

test('a log that does not verify is the first thing said', { skip }, async () => {
  const known = (await control.recording('audit-verification')) as { logs: object[] };
  const problem = { index: 812, message: 'its hash is not what entry 813 names' };
  const [control0, ca] = known.logs;
  const failed = { ...control0, state: 'failed', problem };
  control.answer('/audit/verification', 200, { logs: [failed, ca], witnesses: [] });
  const page = await open('/evidence');
  await page.getByText(/^The control log does not verify/).waitFor();
  await page.getByText('entry 812: its hash is not what entry 813 names.').waitFor();
  await page.getByText(/^No agent keeps a checkpoint yet/).waitFor();
});

test('a page shown before says how old it is once nothing answers', { skip }, async () => {
  const page = await open('/alerts');
  await page.locator('.alert').first().waitFor();
  control.answer('/alerts', 503, { status: 503, code: 'unavailable', detail: 'the disk is full' });
  control.announce('alerts', {});
  await page
    .getByText(/The control plane answered: the disk is full\. Shown is what it said \d+ s ago\./)
    .waitFor();
  assert.equal(await page.locator('.alert').first().isVisible(), true);
});

// Every field that someone outside may choose, in every page that shows it.
const HOSTILE = `<img src=x onerror="document.title='owned'">\u001b[31m\u202eevil"'\`|$(id)`;

/** The recording with each of its strings replaced, except what only the control plane itself can write. */
function hostile(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((entry) => hostile(entry, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [name, hostile(entry, name)]),
    );
  }
  const isOurs =
    /^(state|severity|kind|result|verdict|reporter|window|id|record\.id|span_id|parent_span_id|next.*)$/.test(
      key,
    );
  const isTime = typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value);
  return typeof value === 'string' && !isOurs && !isTime ? HOSTILE : value;
}

const HOSTILE_PAGES: readonly { readonly path: string; readonly shows: string }[] = [
  { path: '/', shows: '.posture-part' },
  { path: '/alerts', shows: '.on-call' },
  { path: '/traffic', shows: 'role=grid[name="Calls"]' },
  { path: '/traffic/traces/t?call=shop-payments-t8', shows: '.panel' },
  { path: '/evidence?event=1204', shows: '.panel' },
  { path: '/evidence?view=completeness', shows: 'role=grid' },
  { path: '/evidence?view=sinks', shows: 'role=grid' },
  { path: '/map', shows: '.map-node' },
  { path: '/denials', shows: '.denial' },
  { path: '/enforcement', shows: 'role=grid' },
];

test('attack: markup, scripts, terminal escapes and text turned round, in every field', {
  skip,
}, async () => {
  const answers = {
    '/overview': 'overview',
    '/alerts': 'alerts',
    '/silences': 'silences',
    '/slos': 'slos',
    '/posture': 'posture',
    '/rollups': 'rollups-edge',
    '/audit': 'audit',
    '/audit/verification': 'audit-verification',
    '/sinks': 'sinks',
    '/completeness': 'completeness',
    '/traces/t': 'trace',
    '/records': 'records',
    '/map': 'map',
    '/denials': 'denials',
    '/enforcement-points': 'enforcement-points',
  };
  for (const [path, name] of Object.entries(answers)) {
    control.answer(path, 200, hostile(await control.recording(name)));
  }
  const page = await open('/');
  for (const { path, shows } of HOSTILE_PAGES) {
    await page.goto(control.url + path);
    await page.locator(shows).first().waitFor();
    const text = await page.evaluate<string>('document.body.innerText');
    assert.match(text, /<img src=x onerror=/, path);
    assert.ok(!text.includes('\u001b') && !text.includes('\u202e'), path);
    assert.equal(await page.locator('img').count(), 0, path);
    assert.match(await page.title(), /· Palisade$/, path);
    assert.deepEqual(watched.faults.splice(0), [], path);
  }
});

test('attack: a link in evidence that would run or lead away', { skip }, async () => {
  const alerts = (await control.recording('alerts')) as { items: Record<string, unknown>[] };
  const links = [
    'javascript:document.title=1',
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
  ];
  const evidence = links.map((link) => ({ text: `see ${link}`, link }));
  control.answer('/alerts', 200, { items: [{ ...alerts.items[0], evidence }], next: null });
  const page = await open('/alerts');
  await page.getByText('see javascript:').waitFor();
  const hrefs = await page
    .locator('.alert-body a')
    .evaluateAll((all) => all.map((a) => a.getAttribute('href')));
  assert.deepEqual(
    hrefs.filter((href) => !/^\/(?![/\\])/.test(href ?? '')),
    [],
  );
});
