import { hash, X509Certificate } from 'node:crypto';
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { fail, ok, type Result } from '#lib';
import {
  type DsseEnvelope,
  type NextRoot,
  openNextRoot,
  openTrustRoot,
  signTrustRoot,
  succeedTrustRoot,
  type TrustRoot,
} from '#trust';
import type { ApiClient } from './api-client.ts';
import type { DataFolder } from './data-folder.ts';
import type { Author } from './policy-set.ts';

/**
 * Where a rotation stands, which the trust root alone says. The first root is the one that is issued under:
 * `idle` [A], `distributing` [A, B], `activating` [B, A].
 */
export type RotationPhase = 'idle' | 'distributing' | 'activating';

/** The phase of a trust root: of two roots the one that is named twice is the next, else the younger one. */
export function phaseOf({ x509Roots }: Pick<TrustRoot, 'x509Roots'>): RotationPhase {
  const [first, second] = distinct(x509Roots);
  if (first === undefined || second === undefined) return 'idle';
  const count = (root: string) => x509Roots.filter((each) => each === root).length;
  if (count(first) !== count(second)) {
    return count(first) > count(second) ? 'activating' : 'distributing';
  }
  return validFrom(first) > validFrom(second) ? 'activating' : 'distributing';
}

/** Its roots, the one that is issued under first, each once. */
export function rootsOf({ x509Roots }: TrustRoot): readonly string[] {
  return distinct(x509Roots);
}

/**
 * The roots that say that a rotation from `old` to `next` is in `phase`. Where ages would say otherwise (the root of another
 * system may be older than ours) the next one is named twice: whoever only trusts them sees no difference.
 */
export function rootsIn(
  phase: 'distributing' | 'activating',
  { old, next }: { readonly old: string; readonly next: string },
): readonly string[] {
  const isYounger = validFrom(next) > validFrom(old);
  const twice = isYounger ? [next] : [next, next];
  return phase === 'distributing' ? [old, ...twice] : [...twice, old];
}

function validFrom(root: string): number {
  return certificateOf(root).validFromDate.getTime();
}

function distinct(roots: readonly string[]): readonly string[] {
  return [...new Set(roots)];
}

/** SHA-256 of a root of a trust root, lower-case hex, as acknowledgements name it. */
export function rootDigest(root: string): string {
  return hash('sha256', Buffer.from(root, 'base64'), 'hex');
}

/** A root of a trust root as a certificate. */
export function certificateOf(root: string): X509Certificate {
  return new X509Certificate(Buffer.from(root, 'base64'));
}

/** The newest trust root, verified as a successor of the local one and kept in its place. Rejects with `ApiError`. */
export async function refreshTrustRoot(
  api: ApiClient,
  folder: DataFolder,
  local: TrustRoot,
): Promise<Result<TrustRoot, string>> {
  const envelope = await api.call<DsseEnvelope>('GET', '/trust-root');
  const shown = openTrustRoot(envelope);
  if (!shown.ok) return fail(shown.error.message);
  // One that is behind gets ours with the next step.
  if (shown.value.version < local.version) return ok(local);
  const next = succeedTrustRoot(local, envelope, Date.now());
  if (!next.ok) return fail(next.error.message);
  if (next.value.version !== local.version) writeTrustRoot(folder, envelope);
  return ok(next.value);
}

/** Has the authority make its next root, and verifies that it is the authority's. Rejects with `ApiError`. */
export async function fetchNextRoot(
  api: ApiClient,
  trustRoot: TrustRoot,
): Promise<Result<NextRoot, string>> {
  const { envelope } = await api.call<{ envelope: DsseEnvelope }>('POST', '/authority/next-root');
  const next = openNextRoot(envelope, trustRoot);
  if (!next.ok) return fail(`what came as the authority's next root is not: ${next.error}`);
  return next;
}

/** Signs and hands in the trust root with other roots, and keeps it. Rejects with `ApiError`. */
export async function succeedRoots(options: {
  readonly api: ApiClient;
  readonly folder: DataFolder;
  readonly trustRoot: TrustRoot;
  readonly author: Author;
  readonly x509Roots: readonly string[];
  readonly nowMs: number;
}): Promise<TrustRoot> {
  const { api, folder, trustRoot, author, x509Roots, nowMs } = options;
  const next: TrustRoot = {
    ...trustRoot,
    version: trustRoot.version + 1,
    x509Roots,
    issuedAt: new Date(nowMs).toISOString(),
  };
  const envelope = signTrustRoot(next, [author.signer]);
  await api.call('POST', '/trust-root', { body: { envelope } });
  writeTrustRoot(folder, envelope);
  return next;
}

function writeTrustRoot(folder: DataFolder, envelope: DsseEnvelope): void {
  const temporary = `${folder.trustRoot}.${process.pid}.new`;
  writeFileSync(temporary, JSON.stringify(envelope), { mode: 0o600, flush: true });
  chmodSync(temporary, 0o600);
  renameSync(temporary, folder.trustRoot);
}
