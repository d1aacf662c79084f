import { readFileSync } from 'node:fs';
import { fail, type Result } from '#lib';
import { openTrustRoot, type TrustRoot } from '#trust';
import type { DataFolder } from './data-folder.ts';

/** Reads and verifies the data folder's trust root. */
export function readTrustRoot(folder: DataFolder): Result<TrustRoot, string> {
  try {
    const opened = openTrustRoot(JSON.parse(readFileSync(folder.trustRoot, 'utf8')));
    return opened.ok
      ? opened
      : fail(`\`${folder.trustRoot}\` is not a valid trust root: ${opened.error.message}`);
  } catch (error) {
    return fail(`cannot read \`${folder.trustRoot}\`: ${(error as Error).message}`);
  }
}
