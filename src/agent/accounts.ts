import { readFileSync } from 'node:fs';

/** Names of users and groups by their numbers. */
export type Accounts = {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
};

/**
 * Reads the local account files at each question (they change, and attestations are rare). Accounts of a
 * directory service have no name here, so registrations name them by number.
 */
export function createAccounts(folder = '/etc'): Accounts {
  return {
    user: (uid) => nameOf(`${folder}/passwd`, uid),
    group: (gid) => nameOf(`${folder}/group`, gid),
  };
}

/** Both files hold `name:password:number:…` lines (passwd(5), group(5)). */
function nameOf(path: string, id: number): string | undefined {
  try {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const [name, , number] = line.split(':');
      if (number === String(id) && name !== '') return name;
    }
  } catch {
    // No such file: then there are no names.
  }
  return undefined;
}
