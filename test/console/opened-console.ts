// The console in Chromium against a fake control plane, for the file that imports this: one browser and one control plane for
// all of its tests, a page of its own for each.
import { after, afterEach, before, beforeEach } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser, openPage, type WatchedPage, whySkipped } from './browser.ts';
import { type FakeControl, startFakeControl } from './fake-control.ts';

/** Why the file's tests cannot run here, or false. */
export const skip: string | false = await whySkipped();

let browser: Browser;

/** What the pages ask; as it was recorded again after each test. */
export let control: FakeControl;

/** The page of the test at hand, with what went wrong in it. */
export let watched: WatchedPage;

before(async () => {
  if (skip !== false) return;
  control = await startFakeControl();
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await control?.close();
});

beforeEach(async () => {
  if (skip === false)
    watched = await openPage(browser, { theme: 'light', width: 1280 }, control.url);
});

afterEach(async () => {
  await watched?.page.context().close();
  control?.reset();
});

/** Goes to a path of the console. */
export async function open(path: string): Promise<Page> {
  await watched.page.goto(control.url + path);
  return watched.page;
}
