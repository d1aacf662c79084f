import { existsSync, readFileSync } from 'node:fs';
import { checkContinues, type OfferedTip, openCheckpoint, signCheckpoint } from '#audit';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { decodeEnvelope, encodeEnvelope, type PolicySigner } from '#trust';
import { writeSecretFile } from './secret-file.ts';

/** What the authority answers to the end of the control plane's audit log. */
export type WitnessAnswer =
  | { readonly case: 'envelope'; readonly value: Uint8Array }
  | { readonly case: 'knownSize'; readonly value: bigint }
  | { readonly case: 'refused'; readonly value: string };

/** The authority as the one who remembers how the control plane's audit log stood. */
export type AuditWitness = (offered: OfferedTip & { readonly last: string }) => WitnessAnswer;

/** What a witness works with; `path` holds the checkpoint it signed last. */
export type AuditWitnessOptions = {
  readonly path: string;
  readonly trustDomain: string;
  readonly signer: PolicySigner & { readonly publicKey: string };
  readonly clock: () => number;
  readonly log: Log;
};

/**
 * Signs the ends of the control plane's audit log, each only if it continues the one signed before.
 * SECURITY: the control plane has no key that could sign another history; whoever takes it over can stop logging, and
 * that shows, but not change what was logged. Throws where what it signed last is there and cannot be read.
 */
export function openAuditWitness(options: AuditWitnessOptions): AuditWitness {
  const { path, trustDomain, signer, clock, log } = options;
  const opened = readLast(options);
  if (!opened.ok) throw new Error(`\`${path}\`: ${opened.error}`);
  let known = opened.value;

  return (offered) => {
    const continues = checkContinues(known, offered);
    if (!continues.ok) {
      const { error } = continues;
      if (error.kind === 'unproven') return { case: 'knownSize', value: BigInt(error.size) };
      log.error(EVENT.auditBroken, { kind: error.kind, reason: error.message });
      return { case: 'refused', value: error.message };
    }
    const { size, root, last } = offered;
    const time = new Date(clock()).toISOString();
    const next = { trustDomain, log: 'control', size, root, last, time };
    const envelope = signCheckpoint(next, signer);
    // INVARIANT: remembered before it leaves, so that a crash cannot make two histories of one.
    writeSecretFile(path, `${JSON.stringify(envelope)}\n`);
    known = next;
    return { case: 'envelope', value: encodeEnvelope(envelope) };
  };
}

function readLast({
  path,
  trustDomain,
  signer,
}: AuditWitnessOptions): Result<{ size: number; root: string } | undefined, string> {
  if (!existsSync(path)) return ok(undefined);
  const envelope = decodeEnvelope(readFileSync(path));
  if (!envelope.ok) return fail(envelope.error.message);
  return openCheckpoint(envelope.value, { issuanceLogKey: signer.publicKey, trustDomain });
}
