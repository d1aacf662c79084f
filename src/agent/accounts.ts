import { readFileSync, statSync } from 'node:fs';

/** Names of users and groups by their numbers. */
export type Accounts = {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
};

/**
 * Reads the local account files, again as soon as they are others. Accounts of a directory service have no name here, so
 * registrations name them by number.
 */
export function createAccounts(folder = '/etc'): Accounts {
  return { user: namesIn(`${folder}/passwd`), group: namesIn(`${folder}/group`) };
}

type Names = ReadonlyMap<string, string>;

function namesIn(path: string): (id: number) => string | undefined {
  let version = '';
  let names: Names = new Map();
  return (id) => {
    const now = versionOf(path);
    if (now !== version) {
      names = readNames(path);
      version = now;
    }
    return names.get(String(id));
  };
}

/** Another one after each change: the time of change is the kernel's own, and tools put a new file in the old one's place. */
function versionOf(path: string): string {
  try {
    const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${ctimeNs}`;
  } catch {
    // No such file.
    return '';
  }
}

/** Both files hold `name:password:number:…` lines (passwd(5), group(5)); of those with one number the first counts. */
function readNames(path: string): Names {
  const names = new Map<string, string>();
  try {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const [name = '', , number = ''] = line.split(':');
      if (name !== '' && !names.has(number)) names.set(number, name);
    }
  } catch {
    // No such file: then there are no names.
  }
  return names;
}
