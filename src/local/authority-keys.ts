import { type KeyDevice, openKeyDevice, parseKeyDevice, type UpstreamFiles } from '#ca';
import { readPassphrase, readSecret } from './passphrase.ts';
import { StartError } from './start-error.ts';

/** How the authority's keys are kept, and who certifies them. */
export type AuthorityKeys = {
  readonly passphrase: string | undefined;
  readonly keyDevice: KeyDevice | undefined;
  readonly upstream: UpstreamFiles | undefined;
};

/**
 * As the environment says: PALISADE_CA_PASSPHRASE_FILE, PALISADE_CA_KEYS with PALISADE_CA_PIN_FILE, and
 * PALISADE_CA_UPSTREAM with PALISADE_CA_UPSTREAM_KEY. Throws a StartError where that is not fit.
 */
export function authorityKeys(env: NodeJS.ProcessEnv): AuthorityKeys {
  return { passphrase: readPassphrase(env), keyDevice: keyDevice(env), upstream: upstream(env) };
}

// One a process: a token counts its users by the process.
let opened: { readonly name: string; readonly device: KeyDevice } | undefined;

function keyDevice(env: NodeJS.ProcessEnv): KeyDevice | undefined {
  const name = env['PALISADE_CA_KEYS'] ?? '';
  if (name === '') return undefined;
  if (opened?.name === name) return opened.device;
  const parsed = parseKeyDevice(name);
  if (!parsed.ok) {
    throw new StartError(
      `PALISADE_CA_KEYS: ${parsed.error}`,
      'name `pkcs11:token=LABEL?module-path=/PATH` or `command:/PATH`',
    );
  }
  try {
    const device = openKeyDevice(parsed.value, () => readSecret(env, 'PALISADE_CA_PIN'));
    opened = { name, device };
    return device;
  } catch (error) {
    throw new StartError(
      `the authority's key device cannot be used: ${(error as Error).message}`,
      'see docs/reference/authority-keys.md',
    );
  }
}

function upstream(env: NodeJS.ProcessEnv): UpstreamFiles | undefined {
  const certificate = env['PALISADE_CA_UPSTREAM'] ?? '';
  const key = env['PALISADE_CA_UPSTREAM_KEY'] ?? '';
  if (certificate === '' && key === '') return undefined;
  if (certificate !== '' && key !== '') return { certificate, key };
  throw new StartError(
    'PALISADE_CA_UPSTREAM and PALISADE_CA_UPSTREAM_KEY belong together',
    'name the certificate of the authority above ours and its key, PEM files both',
  );
}
