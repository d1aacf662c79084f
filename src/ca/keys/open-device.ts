import { isAbsolute } from 'node:path';
import { fail, ok, type Result } from '#lib';
import { openCommandDevice } from './command-device.ts';
import type { KeyDevice } from './key-device.ts';
import { openPkcs11Device } from './pkcs11-device.ts';

/** Where an authority's keys are to be kept, as an operator names it. */
export type KeyDeviceName =
  | { readonly kind: 'pkcs11'; readonly modulePath: string; readonly token: string }
  | { readonly kind: 'command'; readonly program: string };

/**
 * Parses `pkcs11:token=LABEL?module-path=/PATH` (RFC 7512) or `command:/PATH`.
 * SECURITY: a PIN in it is refused: it would stand in unit files and in the environment of every child.
 */
export function parseKeyDevice(text: string): Result<KeyDeviceName, string> {
  if (text.startsWith('command:')) {
    const program = text.slice('command:'.length);
    return isAbsolute(program)
      ? ok({ kind: 'command', program })
      : fail('`command:` is followed by the absolute path of a program');
  }
  const uri = /^pkcs11:([^?]*)(?:\?(.*))?$/.exec(text);
  if (uri === null) return fail('it begins neither with `pkcs11:` nor with `command:`');
  const attributes = new Map<string, string>();
  for (const part of [...(uri[1] ?? '').split(';'), ...(uri[2] ?? '').split('&')]) {
    const [name = '', value = ''] = part.split('=', 2);
    if (part !== '') attributes.set(name, decode(value));
  }
  const unknown = [...attributes.keys()].find((name) => !KNOWN.has(name));
  if (unknown?.startsWith('pin-')) return fail('the PIN belongs into PALISADE_CA_PIN_FILE');
  if (unknown !== undefined) return fail(`unknown attribute \`${unknown}\``);
  const token = attributes.get('token') ?? '';
  const modulePath = attributes.get('module-path') ?? '';
  if (token === '') return fail('`token=` names the token');
  if (!isAbsolute(modulePath)) return fail('`module-path=` is the absolute path of the module');
  return ok({ kind: 'pkcs11', token, modulePath });
}

/** Opens a device; throws where it is not there, or its PIN is not right. */
export function openKeyDevice(name: KeyDeviceName, pin: () => string | undefined): KeyDevice {
  if (name.kind === 'command') return openCommandDevice(name);
  const secret = pin();
  if (secret === undefined) {
    throw new Error(
      `the token \`${name.token}\` wants a PIN: name a file with it in PALISADE_CA_PIN_FILE`,
    );
  }
  return openPkcs11Device({ modulePath: name.modulePath, token: name.token, pin: secret });
}

const KNOWN: ReadonlySet<string> = new Set(['token', 'module-path', 'type']);

// RFC 7512 section 2.3 percent-encodes as any URI.
function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A stray percent sign: no token is called so.
    return value;
  }
}
