import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFits } from './browser.ts';
import { control, open, skip, watched } from './opened-console.ts';

// Names as long as DNS lets them be, on a small laptop and on a phone: pages fit their screen, and every column keeps room for
// what stands in it.

const SERVICE = 'payments-reconciliation-worker-for-the-northern-european-region';
const NAMESPACE = 'shop-of-the-department-with-a-very-long-name-0123456789';
const PERSON = 'ann.with.a.long.login.name@department.example.org';
const SIZES = [
  [1024, 768],
  [390, 844],
] as const;

/** Recordings by the path that answers with them. */
const ANSWERS = {
  '/alerts': 'alerts',
  '/audit': 'audit',
  '/policy-sets/shop/changed-calls': 'changed-calls',
  '/enforcement-points': 'enforcement-points',
  '/map': 'map',
  '/policy-sets': 'policy-sets',
  '/records': 'records',
  '/resources': 'resources',
  '/sinks': 'sinks',
} as const;

const PAGES = [
  ['/alerts', 'role=grid[name="Burn rates"]'],
  ['/map', '.map-node >> nth=5'],
  ['/traffic', 'role=grid[name="Calls"]'],
  ['/policies', 'nav[aria-label="Resources"]'],
  ['/policies?view=compare&ns=shop', 'text=What was written differently'],
  ['/enforcement', 'role=grid[name="Enforcement points"]'],
  ['/evidence?view=sinks', 'role=grid[name="Sinks"]'],
] as const;

/** The narrowest that a column with words may be, in pixels: less stacks letter upon letter. */
const LEAST_PX = 40;

async function answerWithLongNames(): Promise<void> {
  for (const [path, name] of Object.entries(ANSWERS)) {
    const text = JSON.stringify(await control.recording(name))
      .replaceAll('payments', SERVICE)
      .replaceAll('"shop"', JSON.stringify(NAMESPACE))
      .replaceAll('/ns/shop/', `/ns/${NAMESPACE}/`)
      .replaceAll('"ann"', JSON.stringify(PERSON));
    control.answer(path, 200, JSON.parse(text));
  }
}

for (const [width, height] of SIZES) {
  test(`long names at ${width} px`, { skip }, async () => {
    await answerWithLongNames();
    await watched.page.setViewportSize({ width, height });
    for (const [address, shows] of PAGES) {
      const page = await open(address);
      await page.locator(shows).first().waitFor();
      await checkFits(watched);
      const narrow = await page.evaluate<string[]>(`[...document.querySelectorAll(".table th")]
        .filter((head) => head.offsetWidth > 0 && head.offsetWidth < ${LEAST_PX})
        .map((head) => head.innerText + " " + head.offsetWidth)`);
      assert.deepEqual(narrow, [], `columns of ${address} without room for words`);
    }
  });
}
