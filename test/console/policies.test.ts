import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control, skip, watched } from './opened-console.ts';

// The views of policy in real Chromium: ask about a call, what policies in dry-run would do, and tests.

const EXPLANATION = {
  decision: { verdict: 'deny', reason: 'no_policy_allows', dryRun: [] },
  considered: [
    {
      policy: 'shop/orders',
      action: 'ALLOW',
      dryRun: false,
      matched: false,
      rules: [
        {
          rule: 0,
          matched: false,
          failed: ['method `DELETE` is not one of `GET`'],
          conditions: [
            {
              at: 'from',
              alternative: 0,
              index: 0,
              holds: true,
              sentence:
                'principal `cluster.local/ns/shop/sa/web` is one of `cluster.local/ns/shop/sa/web`',
            },
            {
              at: 'to',
              alternative: 0,
              index: 0,
              holds: false,
              sentence: 'method `DELETE` is not one of `GET`',
            },
          ],
        },
      ],
    },
  ],
  smallestChange: {
    kind: 'extend_rule',
    sentence: 'add method `DELETE` to rule 0',
    diff: '+ DELETE',
  },
};

test('a question is asked in a form, answered as a tree, and its address asks it again', {
  skip,
}, async () => {
  control.answer('/check', 200, EXPLANATION);
  const { page } = watched;
  await page.goto(`${control.url}/policies`);
  await page.getByRole('button', { name: 'Ask', exact: true }).click();
  await page.getByLabel('From').fill('shop/web');
  await page.getByLabel('To', { exact: true }).fill('shop/orders');
  await page.getByRole('textbox', { name: 'Method' }).fill('DELETE');
  await page.getByRole('textbox', { name: 'Method' }).press('Enter');
  await page.getByText('Denied').waitFor();
  const rule = page.getByText('is not one of').first();
  await rule.click();
  const tree = page.locator('.trace');
  await tree.getByText('holds:').waitFor({ state: 'attached' });
  assert.equal(await tree.locator('[data-tone="allowed"]').count(), 1);
  assert.equal(await tree.locator('[data-tone="denied"]').count(), 1);
  await page.getByText('The smallest change that would allow it').waitFor();
  await page.getByText('palisade check --from shop/web --to shop/orders --method DELETE').waitFor();
  const query = new URL(page.url()).searchParams;
  assert.deepEqual(
    [query.get('view'), query.get('from'), query.get('to'), query.get('method')],
    ['ask', 'shop/web', 'shop/orders', 'DELETE'],
  );
  assert.deepEqual(watched.faults, []);
});

test('rules that are dead or wide are marked in words beside their lines, and explained below', {
  skip,
}, async () => {
  const { page } = watched;
  await page.goto(`${control.url}/policies?ns=shop&resource=AuthorizationPolicy/orders`);
  const beside = (line: number) => page.locator('.source li').nth(line - 1);
  await beside(23).getByText('wide: fits other namespaces').waitFor();
  await beside(13).getByText('251,102 calls in 24 h').waitFor();
  await beside(21).getByText('dead: no call on record').waitFor({ state: 'attached' });
  await page.getByText('line 23').waitFor();
  await page.getByText('name the callers, or the namespaces one by one').waitFor();
  assert.deepEqual(watched.faults, []);
});

test('what a policy in dry-run would have denied is there with its callers', { skip }, async () => {
  const { page } = watched;
  await page.goto(`${control.url}/policies?view=dry-run`);
  await page.getByText('would deny 37 calls of 100 calls in the last day').waitFor();
  const row = page.getByRole('row').filter({ hasText: 'shop/web' });
  assert.match(
    (await row.textContent()) ?? '',
    /shop\/orders.*allowed.*denied.*37.*GET \/orders\/7/,
  );
  assert.deepEqual(watched.faults, []);
});

test('cases are run against what is in force; one that fails shows why', { skip }, async () => {
  control.answer('/test', 200, {
    passed: false,
    cases: [
      { suite: 'shop', name: 'web reads', passed: true, problems: [], explanation: null },
      {
        suite: 'shop',
        name: 'web deletes',
        passed: false,
        problems: ['verdict: expected `allow`, got `deny`'],
        explanation: EXPLANATION,
      },
    ],
    coverage: [
      {
        policy: 'shop/orders',
        rules: { covered: 0, all: 1 },
        unmatchedRules: [0],
        gaps: [],
      },
    ],
  });
  const { page } = watched;
  await page.goto(`${control.url}/policies?view=tests`);
  await page.getByRole('button', { name: 'Run against what is in force' }).click();
  await page.getByText('1 of 2 cases as expected').waitFor();
  await page.getByText('verdict: expected').waitFor();
  await page.getByText('rule 0 never matched').waitFor();
  control.answer('/test', 400, { code: 'bad_request', detail: 'line 3, column 1: `x` is unknown' });
  await page.getByRole('button', { name: 'Run against what is in force' }).click();
  await page.getByText('The cases cannot be read').waitFor();
});

const CHANGED = '/policy-sets/shop/changed-calls';

test('two versions are compared: the newest two at first, then those chosen, by an address that stays', {
  skip,
}, async () => {
  const { page } = watched;
  const asked: string[] = [];
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (!pathname.endsWith(CHANGED)) return;
    asked.push(['against', 'number', 'since'].map((key) => searchParams.get(key)).join(' '));
  });
  await page.goto(`${control.url}/policies?ns=shop`);
  await page.getByRole('link', { name: 'Compare two versions' }).press('Enter');
  const table = page.getByRole('grid', {
    name: 'Calls that version 7 decides otherwise than version 6',
  });
  await table.waitFor();
  assert.match(
    (await page.locator('.compared-sentence').innerText()) ?? '',
    /^Of the newest 5,000 calls of the last hour \(back to [^)]+\), version 7 denies 41 that version 6 allows and allows 7 that version 6 denies\.$/,
  );
  const row = table.getByRole('row').filter({ hasText: 'web' });
  assert.match(
    await row.innerText(),
    /web\s*→\s*payments\s+POST \/charge\s+allowed\s+by shop\/payments\s+denied\s+policies apply[^\d]+41/,
  );
  // The focus went with the view that was left; what comes next by keyboard begins at the page.
  assert.equal(await page.evaluate('document.activeElement.id'), 'main');
  await page.getByLabel('From version').selectOption('5');
  await page.getByRole('button', { name: 'Swap' }).press('Enter');
  await page.getByLabel('Calls of').selectOption('24h');
  await page.getByText('Of the newest 5,000 calls of the last 24 hours').waitFor();
  const query = new URL(page.url()).searchParams;
  assert.deepEqual(
    ['view', 'ns', 'before', 'after', 'since'].map((key) => query.get(key)),
    ['compare', 'shop', '7', '5', '24h'],
  );
  assert.deepEqual(asked, ['6 7 1h', '5 7 1h', '7 5 1h', '7 5 24h']);
  await page.reload();
  await page.getByText('Of the newest 5,000 calls of the last 24 hours').waitFor();
  assert.equal(await page.getByLabel('From version').inputValue(), '7');
  // It costs the control plane work, so it is asked for again by a person only.
  await page.getByRole('button', { name: 'Judge again' }).click();
  await page.getByText('Judged just now').waitFor();
  assert.equal(asked.length, 6);
  await page.getByRole('link', { name: '41' }).click();
  await page.getByRole('heading', { name: 'Traffic' }).waitFor();
  const traffic = new URL(page.url()).searchParams;
  assert.deepEqual(
    ['from', 'to', 'where', 'since'].map((key) => traffic.get(key)),
    ['spiffe://cluster.local/ns/shop/sa/web', 'shop/payments', 'method=POST path=/charge', '24h'],
  );
  assert.deepEqual(watched.faults, []);
});

const COMPARED = {
  before: 6,
  after: 7,
  since: '2026-03-02T09:00:00.000Z',
  records: 0,
  oldest: null,
  truncated: false,
  nowDenied: 0,
  nowAllowed: 0,
  total: 0,
  items: [],
};

const NOTHING_TO_TELL = [
  ['no calls', 200, COMPARED, '', 'No call to a service of shop is on record in that time'],
  [
    'no difference',
    200,
    { ...COMPARED, records: 12 },
    '',
    'Of 12 calls of the last hour, none is decided otherwise by version 7 than by version 6.',
  ],
  [
    'a version that is not kept',
    404,
    { code: 'not_found', detail: '`shop` has no commit 99' },
    '&before=99',
    'One of these versions is not there.',
  ],
  ['a failure', 503, { code: 'unavailable', detail: 'try later' }, '', 'try later'],
  ['a version and itself', 200, COMPARED, '&before=7', 'Version 7 decides as it does itself.'],
] as const;

for (const [name, status, body, query, words] of NOTHING_TO_TELL) {
  test(`compared versions: ${name} is said in words`, { skip }, async () => {
    control.answer(CHANGED, status, body);
    const { page } = watched;
    await page.goto(`${control.url}/policies?view=compare&ns=shop${query}`);
    await page.getByText(words).first().waitFor();
  });
}

test('attack: markup in a caller’s name or a sentence is text', { skip }, async () => {
  const evil = '<img src=x onerror="window.pwned=1">';
  control.answer('/check', 200, {
    ...EXPLANATION,
    considered: [{ ...EXPLANATION.considered[0], policy: evil }],
    smallestChange: { kind: 'none', sentence: evil },
  });
  const { page } = watched;
  await page.goto(`${control.url}/policies?view=ask&to=orders&from=${encodeURIComponent(evil)}`);
  await page.getByRole('button', { name: 'Ask', exact: true }).last().click();
  await page.getByText('onerror').first().waitFor();
  assert.equal(await page.evaluate('window.pwned'), undefined);
  assert.deepEqual(watched.faults, []);
});
