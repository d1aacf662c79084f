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
