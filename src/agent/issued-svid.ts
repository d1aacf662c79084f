import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type Bundle, derToPem, pemToDer, verifyX509Svid, type WorkloadIdentity } from '#identity';
import { fail, ok, type Result } from '#lib';

/**
 * An SVID that came with its key, checked before anybody relies on it: the chain leads to the pinned roots, it is
 * valid now, and the key is the certificate's.
 */
export function acceptSvid(options: {
  readonly chainDer: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  /** Its SubjectPublicKeyInfo, for whoever has it already. */
  readonly publicKeyDer?: Buffer;
  readonly bundle: Bundle;
  readonly nowMs: number;
}): Result<WorkloadIdentity, string> {
  const { chainDer, privateKey, bundle, publicKeyDer = spkiOf(privateKey) } = options;
  const svid = verifyX509Svid(chainDer, bundle, options.nowMs);
  if (!svid.ok) return fail(svid.error.message);
  if (!publicKeyDer.equals(svid.value.publicKeyDer)) {
    return fail('the certificate is not for the key that came with it');
  }
  const { id, serial, notBefore, expiresAt, requester, signers } = svid.value;
  // Copies: what came is cut from a block of 8 KiB or more, which it would keep for as long as the identity lives.
  const own = chainDer.map((der) => new Uint8Array(der));
  return ok({
    id,
    serial,
    notBefore,
    expiresAt,
    requester,
    signers,
    chainDer: own,
    chainPem: own.map((der) => derToPem(der)).join(''),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    bundles: [bundle],
  });
}

function spkiOf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
}

/** An identity as it is kept on disk. SECURITY: holds the key; goes into files of mode 0600 alone. */
export type StoredIdentity = { readonly privateKeyPem: string; readonly chainPem: string };

/** What is kept of an identity. */
export function storedIdentity({ privateKeyPem, chainPem }: WorkloadIdentity): StoredIdentity {
  return { privateKeyPem, chainPem };
}

/** Reads back `storedIdentity`, verifying it again; fails if it expired meanwhile. */
export function readStoredIdentity(
  stored: unknown,
  bundle: Bundle,
  nowMs: number,
): Result<WorkloadIdentity, string> {
  if (typeof stored !== 'object' || stored === null) return fail('no identity is stored');
  const { privateKeyPem, chainPem } = stored as Record<string, unknown>;
  if (typeof privateKeyPem !== 'string' || typeof chainPem !== 'string') {
    return fail('the stored identity is malformed');
  }
  const privateKey = readPrivateKey({ key: privateKeyPem, format: 'pem' });
  if (privateKey === undefined) return fail('the stored key is malformed');
  return acceptSvid({ chainDer: pemToDer(chainPem), privateKey, bundle, nowMs });
}

/** A PKCS#8 key, undefined if it is none. */
export function readPrivateKey(
  input:
    | { readonly key: string; readonly format: 'pem' }
    | { readonly key: Buffer; readonly format: 'der'; readonly type: 'pkcs8' },
): KeyObject | undefined {
  try {
    return createPrivateKey(input);
  } catch {
    // OpenSSL's reason could quote the key's bytes.
    return undefined;
  }
}
