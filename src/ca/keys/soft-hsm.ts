// A PKCS #11 token in software (Debian's softhsm2) for tests.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where distributions put the module. */
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
];

/** A token of its own folder; undefined where SoftHSM is not installed. */
export type SoftHsm = {
  readonly modulePath: string;
  readonly token: string;
  readonly pin: string;
  /** For a process that is to find the token. */
  readonly env: { readonly SOFTHSM2_CONF: string };
  readonly remove: () => void;
};

/** Why a test with SoftHSM is skipped; false where it is not. */
export const softHsmMissing: string | false =
  MODULES.some((path) => existsSync(path)) && spawnSync('softhsm2-util', ['--version']).status === 0
    ? false
    : 'softhsm2 is not installed';

/** Makes a token. Throws where SoftHSM refuses. */
export function createSoftHsm(): SoftHsm {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-hsm-'));
  const tokens = join(folder, 'tokens');
  mkdirSync(tokens);
  const conf = join(folder, 'softhsm2.conf');
  writeFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`);
  const env = { SOFTHSM2_CONF: conf };
  const [token, pin] = ['palisade', '473829'];
  const args = ['--init-token', '--free', '--label', token, '--so-pin', '84739201', '--pin', pin];
  const made = spawnSync('softhsm2-util', args, { env: { ...process.env, ...env } });
  if (made.status !== 0) throw new Error(`softhsm2-util: ${made.stderr.toString('utf8')}`);
  const modulePath = MODULES.find((path) => existsSync(path)) ?? '';
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { modulePath, token, pin, env, remove };
}
