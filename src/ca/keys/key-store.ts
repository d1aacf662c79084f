import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { rmSync } from 'node:fs';
import {
  createKeyPair,
  createSigningKey,
  ECDSA_SHA256,
  loadSigningKey,
  type SigningKey,
} from '#identity';
import { type Passphrase, readSealed, writeSealed } from '../sealed-file.ts';
import { encodeEcdsa } from './ecdsa-signature.ts';
import type { KeyDevice } from './key-device.ts';

/**
 * Where an authority's signing keys lie: each has a file, which holds the key itself (sealed where there is a passphrase),
 * or says which key of the device it is.
 */
export type KeyStore = {
  /** A new P-256 key: of the device where there is one. It lasts once it is saved. */
  readonly create: () => NewKey;
  /** The key of a file that `save` wrote; throws, naming the file, where it cannot be used. */
  readonly open: (path: string) => SigningKey;
  /** Destroys a key, at the device as well, and then its file. */
  readonly destroy: (path: string) => void;
};

/** A key that no file holds yet. */
export type NewKey = { readonly key: SigningKey; readonly save: (path: string) => void };

type Reference = {
  readonly device: string;
  readonly reference: string;
  readonly publicKey: string;
};

/** The keys of an authority's folder: new ones on `device` where there is one, else in files. */
export function createKeyStore(options: {
  readonly passphrase?: Passphrase;
  readonly device?: KeyDevice | undefined;
}): KeyStore {
  const { passphrase, device } = options;
  return {
    create: () => (device === undefined ? createInFile(passphrase) : createOn(device, passphrase)),
    open(path) {
      const text = readSealed(path, passphrase);
      const reference = parseReference(text);
      if (reference !== undefined) return keyOf(deviceOf(reference, device, path), reference);
      const key = loadSigningKey(text);
      if (!key.ok) throw new Error(`\`${path}\`: ${key.error}`);
      return key.value;
    },
    destroy(path) {
      const reference = parseReference(readSealed(path, passphrase));
      if (reference !== undefined) deviceOf(reference, device, path).destroy(reference.reference);
      rmSync(path, { force: true });
    },
  };
}

function createInFile(passphrase: Passphrase): NewKey {
  const { privateKey } = createKeyPair();
  const key = createSigningKey(privateKey);
  if (key === undefined) throw new Error('a P-256 key cannot sign');
  return {
    key,
    save(path) {
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      writeSealed(path, pem, passphrase);
    },
  };
}

function createOn(device: KeyDevice, passphrase: Passphrase): NewKey {
  const { reference, publicKeyDer } = device.create();
  const publicKey = Buffer.from(publicKeyDer).toString('base64');
  const held: Reference = { device: device.kind, reference, publicKey };
  const save = (path: string) => writeSealed(path, `${JSON.stringify(held)}\n`, passphrase);
  return { key: keyOf(device, held), save };
}

function deviceOf(held: Reference, device: KeyDevice | undefined, path: string): KeyDevice {
  if (device?.kind === held.device) return device;
  throw new Error(
    `the key of \`${path}\` lies on a device (${held.device}): name it in PALISADE_CA_KEYS`,
  );
}

function keyOf(device: KeyDevice, { reference, publicKey }: Reference): SigningKey {
  const publicKeyDer = Buffer.from(publicKey, 'base64');
  const verifier = createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' });
  const digest = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');
  return {
    algorithm: ECDSA_SHA256,
    publicKeyDer,
    sign: (bytes) => checked(device.sign(reference, digest(bytes)), bytes, verifier),
    signLater: async (bytes) =>
      checked(await device.signLater(reference, digest(bytes)), bytes, verifier),
  };
}

// SECURITY: a device that signs with another key, or badly, would otherwise show at the peers of whoever got the result.
function checked(signature: Buffer, bytes: Uint8Array, publicKey: KeyObject): Buffer {
  const der = encodeEcdsa(signature);
  if (!verify('sha256', bytes, publicKey, der)) {
    throw new Error('the key device gave a signature that is not of its key');
  }
  return der;
}

function parseReference(text: string): Reference | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const { device, reference, publicKey } = JSON.parse(text) as Reference;
    const isOne = [device, reference, publicKey].every((part) => typeof part === 'string');
    return isOne ? { device, reference, publicKey } : undefined;
  } catch {
    // Not a reference: whoever reads it as a key says what is wrong with it.
    return undefined;
  }
}
