import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bundle, derToPem, parseBundle, parseTrustDomain, type TrustDomain } from '#identity';
import type { Result } from '#lib';
import {
  type DsseEnvelope,
  decodeEnvelope,
  openTrustRoot,
  succeedTrustRoot,
  type TrustError,
  type TrustRoot,
} from '#trust';

/** The pinned trust root and what follows from it. */
export type PinnedRoot = {
  readonly root: TrustRoot;
  readonly envelope: DsseEnvelope;
  readonly trustDomain: TrustDomain;
  readonly bundle: Bundle;
};

/** The trust root that this control plane distributes; what it gives changes when authors sign a successor. */
export type TrustAnchor = PinnedRoot & {
  /** Verifies a successor, keeps it on disk and distributes it from now on. Rejects when the disk refuses. */
  readonly succeed: (envelope: DsseEnvelope) => Promise<Result<TrustRoot, TrustError>>;
  readonly onChange: (listener: () => void) => () => void;
};

/**
 * Opens the newest trust root there is: that of the installation at `path`, or its successor kept in `folder`. Throws,
 * naming the file, if the installation's is not one of `trustDomain`.
 */
export function openTrustAnchor(options: {
  readonly path: string;
  readonly folder: string;
  readonly trustDomain: string;
  readonly clock: () => number;
}): TrustAnchor {
  const { path, folder, trustDomain, clock } = options;
  const kept = join(folder, 'trust-root.json');
  const listeners = new Set<() => void>();
  let pinned = newest(readTrustRootFile(path, trustDomain), kept, clock());
  return {
    trustDomain: pinned.trustDomain,
    get root() {
      return pinned.root;
    },
    get envelope() {
      return pinned.envelope;
    },
    get bundle() {
      return pinned.bundle;
    },
    async succeed(envelope) {
      const next = succeedTrustRoot(pinned.root, envelope, clock());
      if (!next.ok || next.value === pinned.root) return next;
      const successor = pin(next.value, envelope, 'the successor of the trust root');
      await writeFile(`${kept}.new`, JSON.stringify(envelope), { mode: 0o600, flush: true });
      await rename(`${kept}.new`, kept);
      pinned = successor;
      for (const listener of Array.from(listeners)) listener();
      return next;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function newest(installed: PinnedRoot, kept: string, nowMs: number): PinnedRoot {
  if (!existsSync(kept)) return installed;
  const envelope = decodeEnvelope(readFileSync(kept));
  const next = envelope.ok ? succeedTrustRoot(installed.root, envelope.value, nowMs) : envelope;
  // An operator who put a newer file there meant it; that is how the one kept comes to be older.
  if (!envelope.ok || !next.ok) return installed;
  return pin(next.value, envelope.value, kept);
}

/** Reads the trust root's envelope; throws, naming the file, if it is not one of `trustDomain`. */
export function readTrustRootFile(path: string, trustDomain: string): PinnedRoot {
  const envelope = decodeEnvelope(readFileSync(path));
  const root = envelope.ok ? openTrustRoot(envelope.value) : envelope;
  if (!envelope.ok || !root.ok) {
    const message = root.ok ? 'not an envelope' : root.error.message;
    throw new Error(`\`${path}\` is not a trust root: ${message}`);
  }
  if (root.value.trustDomain !== trustDomain) {
    throw new Error(
      `\`${path}\` is of trust domain \`${root.value.trustDomain}\`, not \`${trustDomain}\``,
    );
  }
  return pin(root.value, envelope.value, path);
}

function pin(root: TrustRoot, envelope: DsseEnvelope, what: string): PinnedRoot {
  const domain = parseTrustDomain(root.trustDomain);
  if (!domain.ok) throw new Error(domain.error);
  const pem = [...new Set(root.x509Roots)]
    .map((text) => derToPem(Buffer.from(text, 'base64')))
    .join('');
  const bundle = parseBundle(domain.value, pem);
  if (!bundle.ok) throw new Error(`\`${what}\`: ${bundle.error}`);
  return { root, envelope, trustDomain: domain.value, bundle: bundle.value };
}
