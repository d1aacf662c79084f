import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control, open, skip, watched } from './opened-console.ts';

// Addresses that people keep and send: what they name is found also where the newest rows have moved on, and where it is gone
// the page says so instead of opening nothing.

type Recorded = { readonly items: readonly Record<string, unknown>[] };

test('the call that an address names is shown though it is none of the newest', {
  skip,
}, async () => {
  const { items } = (await control.recording('records')) as Recorded;
  control.answer('/records/old-one', 200, {
    ...items[0],
    'record.id': 'old-one',
    path: '/long-ago',
  });
  const page = await open('/traffic?call=old-one');
  const panel = page.getByRole('complementary', { name: /^Call from web/ });
  await panel.getByText('/long-ago').first().waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  assert.equal(new URL(page.url()).searchParams.has('call'), false);
  assert.deepEqual(watched.faults, []);
});

test('the signed change that an address names is shown though it is none of the newest', {
  skip,
}, async () => {
  const { items } = (await control.recording('commits')) as Recorded;
  const asked: (string | null)[] = [];
  watched.page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname.endsWith('/commits')) asked.push(searchParams.get('cursor'));
  });
  control.answer('/policy-sets/shop/commits', 200, { items: items.slice(0, 2), next: '6' });
  const page = await open('/policies?ns=shop&version=3');
  await page.getByText('There is no version 3 of shop.').waitFor();
  assert.deepEqual(asked, [null, '4']);
  control.answer('/policy-sets/shop/commits', 200, { items: items.slice(4), next: null });
  await page.getByRole('button', { name: 'Older changes' }).click();
  await page.getByRole('complementary', { name: 'Signed change shop, version 3' }).waitFor();
});

const GONE = [
  ['/traffic?call=gone', '/records/gone', 'The call that this address names cannot be shown'],
  ['/evidence?event=99999', undefined, 'There is no entry 99999 in this log, or it has expired.'],
  ['/alerts?alert=over', undefined, 'The alert that this address names is not firing any more.'],
  ['/map?edge=a%3Eb/c', undefined, 'The edge that this address names had no call in this time'],
  ['/denials/dn-gone', '/denials/dn-gone', 'This is not known now.'],
] as const;

for (const [address, missing, words] of GONE) {
  test(`\`${address}\` says that what it names is gone`, { skip }, async () => {
    if (missing !== undefined) {
      control.answer(missing, 404, { code: 'not_found', detail: 'no such thing is kept' });
    }
    const page = await open(address);
    await page.getByText(words).first().waitFor();
  });
}

test('what the control plane did not send whole is said to be cut', { skip }, async () => {
  for (const [address, name, words] of [
    ['/enforcement', 'enforcement-points', /^These are the first \d+ enforcement points/],
    ['/identities', 'identities', /^These are the first \d+ certificates/],
    ['/policies', 'resources', /^These are the first \d+ resources/],
    ['/denials', 'denials', /^At least /],
  ] as const) {
    const whole = (await control.recording(name)) as Recorded;
    control.answer(`/${name}`, 200, { ...whole, next: 'more' });
    const page = await open(address);
    await page.getByText(words).first().waitFor();
  }
});

test('a live tail that was refused is opened again', { skip }, async () => {
  control.answer('/records/watch', 503, { code: 'unavailable', detail: 'too many readers' });
  const refused = watched.page.waitForResponse((response) =>
    response.url().includes('/records/watch'),
  );
  const page = await open('/traffic');
  assert.equal((await refused).status(), 503);
  const reopened = page.waitForRequest((request) => request.url().includes('/records/watch'));
  control.reset();
  await reopened;
  await page.locator('td[data-head=Request]').first().waitFor();
  const { items } = (await control.recording('records')) as Recorded;
  const call = items.find((record) => record['reporter'] === 'destination');
  const time = new Date().toISOString();
  const sent = setInterval(
    () => control.sendRecord({ ...call, 'record.id': 'tail', path: '/after-refusal', time }),
    200,
  );
  try {
    await page.getByText('/after-refusal').first().waitFor();
  } finally {
    clearInterval(sent);
  }
});

test('times that stand without a date say their zone', { skip }, async () => {
  const zone = /^(UTC|[+−]\d\d:\d\d)$/;
  for (const address of ['/traffic', '/evidence']) {
    const page = await open(address);
    const head = page.getByRole('columnheader', { name: /^Time / });
    assert.match((await head.innerText()).replace(/^Time\s+/, ''), zone, address);
  }
  const page = await open('/');
  await page.getByText(/, times are (UTC|[+−]\d\d:\d\d)\./).waitFor();
});
