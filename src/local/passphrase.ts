import { readFileSync } from 'node:fs';
import { readProblem, StartError } from './start-error.ts';

/** Secrets that an operator hands to a process. */
export type OperatorSecret = 'PALISADE_CA_PASSPHRASE' | 'PALISADE_CA_PIN';

/**
 * The passphrase that seals the authority's keys, or the PIN of the token that holds them: from the file that the variable
 * of this name with _FILE names (`/dev/fd/3` for a descriptor), else the variable itself; undefined where there is neither.
 * SECURITY: never from the command line, which every process of the machine may read.
 */
export function readSecret(env: NodeJS.ProcessEnv, name: OperatorSecret): string | undefined {
  const path = env[`${name}_FILE`];
  if (path === undefined || path === '') return takeFromEnvironment(env, name);
  const text = readOnce(path, name);
  if (text !== '') return text;
  throw new StartError(
    `\`${path}\` holds nothing`,
    `write one line into the file that ${name}_FILE names`,
  );
}

/** The passphrase that seals the authority's keys, as `readSecret` finds it. */
export function readPassphrase(env: NodeJS.ProcessEnv): string | undefined {
  return readSecret(env, 'PALISADE_CA_PASSPHRASE');
}

// SECURITY: applications and sidecars that this process starts do not inherit it.
function takeFromEnvironment(env: NodeJS.ProcessEnv, name: OperatorSecret): string | undefined {
  const text = env[name];
  if (text !== undefined && text !== '') read.set(name, text);
  delete env[name];
  return read.get(name);
}

// A descriptor can be read but once, and the keys are opened in more than one place.
const read = new Map<string, string>();

function readOnce(path: string, name: OperatorSecret): string {
  const known = read.get(path);
  if (known !== undefined) return known;
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    read.set(path, text);
    return text;
  } catch (error) {
    const why = readProblem(error);
    throw new StartError(`\`${path}\`: ${why}`, `it is what ${name}_FILE names`);
  }
}
