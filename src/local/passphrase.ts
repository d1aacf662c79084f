import { readFileSync } from 'node:fs';
import { StartError } from './start-error.ts';

/**
 * The passphrase that seals the authority's keys: from the file that PALISADE_CA_PASSPHRASE_FILE names (`/dev/fd/3` for a
 * descriptor), else PALISADE_CA_PASSPHRASE itself; undefined where there is neither.
 * SECURITY: never from the command line, which every process of the machine may read.
 */
export function readPassphrase(env: NodeJS.ProcessEnv): string | undefined {
  const path = env['PALISADE_CA_PASSPHRASE_FILE'];
  if (path === undefined || path === '') return takeFromEnvironment(env);
  const text = readOnce(path);
  if (text !== '') return text;
  throw new StartError(
    `\`${path}\` holds no passphrase`,
    'write one line into the file that PALISADE_CA_PASSPHRASE_FILE names',
  );
}

// SECURITY: applications and sidecars that this process starts do not inherit it.
function takeFromEnvironment(env: NodeJS.ProcessEnv): string | undefined {
  const text = env['PALISADE_CA_PASSPHRASE'];
  if (text !== undefined && text !== '') read.set('', text);
  delete env['PALISADE_CA_PASSPHRASE'];
  return read.get('');
}

// A descriptor can be read but once, and the keys are opened in more than one place.
const read = new Map<string, string>();

function readOnce(path: string): string {
  const known = read.get(path);
  if (known !== undefined) return known;
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    read.set(path, text);
    return text;
  } catch {
    // The reason is in the path, and the sentence names it.
    return '';
  }
}
