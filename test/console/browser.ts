import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Where Chromium is; `CHROMIUM_BIN` says otherwise. */
export const CHROMIUM = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium';

/** False where there is no Chromium, or a sentence that says why the test is skipped. */
export async function whySkipped(): Promise<string | false> {
  try {
    await access(CHROMIUM);
    return false;
  } catch {
    // Not installed here; the message names what would run the test.
    return `no Chromium at ${CHROMIUM}: install it or set CHROMIUM_BIN`;
  }
}

/** Starts Chromium so that it neither shows anything nor talks to anyone but the page's server. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--headless',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
}

/** A busy machine is slow; what takes longer than this does not happen. */
const TIMEOUT_MS = 30_000;

/** How a page is looked at. */
export type Look = { readonly theme: 'light' | 'dark'; readonly width: 1280 | 390 };

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const MAX_LAYOUT_SHIFT = 0.02;

/** Two sizes in both themes. */
export const LOOKS: readonly Look[] = [
  { theme: 'light', width: 1280 },
  { theme: 'dark', width: 1280 },
  { theme: 'light', width: 390 },
  { theme: 'dark', width: 390 },
];

/** A page and all that went wrong in it: errors, refused scripts and styles, requests elsewhere. */
export type WatchedPage = { readonly page: Page; readonly faults: string[] };

/** Opens a blank page that collects its faults and its layout shifts. */
export async function openPage(browser: Browser, look: Look, ownUrl: string): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: look.width, height: look.width === 390 ? 844 : 800 },
    colorScheme: look.theme,
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    const isOwn = url.startsWith(`${ownUrl}/`) || url.startsWith('blob:');
    if (!isOwn) faults.push(`request elsewhere: ${url}`);
  });
  await page.addInitScript(`
    window.layoutShift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
  `);
  return { page, faults };
}

/** Fails where what was shown has moved by itself. */
export async function checkStill({ page }: WatchedPage): Promise<void> {
  // Two frames more, so that what would still move has moved.
  await page.evaluate(
    'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
  );
  const shift = await page.evaluate<number>('window.layoutShift');
  assert.ok(shift < MAX_LAYOUT_SHIFT, `the layout shifted by ${shift}`);
}

/** Fails where the page is wider than its screen. */
export async function checkFits({ page }: WatchedPage): Promise<void> {
  const over = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  assert.ok(over <= 0, `the page is ${over} px wider than its screen`);
  // A state is one line; in a cell too narrow for it, it runs into the next one's words, unless it is cut there.
  const running = await page.evaluate<string[]>(`[...document.querySelectorAll("td .state")]
    .filter((state) => {
      const cell = state.closest("td");
      for (let at = state; at !== cell.parentElement; at = at.parentElement)
        if (getComputedStyle(at).overflowX !== "visible") return false;
      return state.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1;
    })
    .map((state) => state.innerText)`);
  assert.deepEqual(running, [], 'states that run out of their cells');
}

type Violation = {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
};

/** Fails where axe finds any violation, however slight. */
export async function checkAccessible({ page }: WatchedPage): Promise<void> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  const violations = await page.evaluate<Violation[]>(
    'axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations)',
  );
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary ?? ''}`),
  );
  assert.deepEqual(found, []);
}
