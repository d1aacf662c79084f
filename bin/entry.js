// Which code a process runs: the bundle that `npm ci` made, as long as the sources it was made of are those that lie here,
// else the sources themselves. Plain JavaScript, like the launchers that ask.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

const ROOT = new URL('..', import.meta.url);

/** URL of what to import for `name`: `src/bin/NAME.ts`, or that file bundled with all it imports. */
export function entry(name) {
  return new URL(isBundleFresh() ? `dist/bundle/${name}.js` : `src/bin/${name}.ts`, ROOT);
}

function isBundleFresh() {
  try {
    const { files } = JSON.parse(readFileSync(new URL('dist/bundle/made-of.json', ROOT), 'utf8'));
    return files.every(isUnchanged);
  } catch {
    // No bundle, or a source it was made of is gone.
    return false;
  }
}

function isUnchanged({ path, bytes, modifiedAtMs, sha256 }) {
  const url = new URL(path, ROOT);
  const { size, mtimeMs } = statSync(url);
  if (size !== bytes) return false;
  if (mtimeMs === modifiedAtMs) return true;
  // Copied or checked out again: only what is in it counts.
  return createHash('sha256').update(readFileSync(url)).digest('hex') === sha256;
}
