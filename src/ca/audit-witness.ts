import { existsSync, readFileSync } from 'node:fs';
import {
  checkContinues,
  type OfferedTip,
  openCheckpoint,
  signCheckpoint,
  type TreeHead,
} from '#audit';
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
export type AuditWitness = {
  readonly sign: (offered: OfferedTip & { readonly last: string }) => WitnessAnswer;
  /** What it signed last, and why it does not sign what it was shown since; empty where there is none. */
  readonly state: () => { readonly checkpoint: Uint8Array; readonly refused: string };
};

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
  let refused = '';

  function sign(offered: OfferedTip & { readonly last: string }): WitnessAnswer {
    const continues = checkContinues(known, offered);
    if (!continues.ok) {
      const { error } = continues;
      if (error.kind === 'unproven') return { case: 'knownSize', value: BigInt(error.size) };
      log.error(EVENT.auditBroken, { kind: error.kind, reason: error.message });
      refused = error.message;
      return { case: 'refused', value: error.message };
    }
    const { size, root, last } = offered;
    const time = new Date(clock()).toISOString();
    const next = { trustDomain, log: 'control', size, root, last, time };
    const envelope = signCheckpoint(next, signer);
    // INVARIANT: remembered before it leaves, so that a crash cannot make two histories of one.
    writeSecretFile(path, `${JSON.stringify(envelope)}\n`);
    known = { ...next, bytes: encodeEnvelope(envelope) };
    refused = '';
    return { case: 'envelope', value: known.bytes };
  }

  return {
    sign,
    state: () => ({ checkpoint: known?.bytes ?? new Uint8Array(), refused }),
  };
}

type Known = TreeHead & { readonly bytes: Uint8Array };

function readLast({
  path,
  trustDomain,
  signer,
}: AuditWitnessOptions): Result<Known | undefined, string> {
  if (!existsSync(path)) return ok(undefined);
  const bytes = readFileSync(path);
  const envelope = decodeEnvelope(bytes);
  if (!envelope.ok) return fail(envelope.error.message);
  const opened = openCheckpoint(envelope.value, { issuanceLogKey: signer.publicKey, trustDomain });
  return opened.ok ? ok({ ...opened.value, bytes: encodeEnvelope(envelope.value) }) : opened;
}
