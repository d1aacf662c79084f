import { originalAddress } from '#lib';
import type { Claims, ProgramReads, Question, RequestHeaders } from '#policy';
import type { Caller } from './authorize.ts';
import type { HeaderChanges, RequestFacts } from './http-call.ts';

/** What an incoming call is judged by. */
export type JudgedCall = {
  readonly caller: Caller;
  /** The peer's address. */
  readonly ip: string;
  /** The address that a balancer connected for, by PROXY protocol. */
  readonly proxiedIp: string | undefined;
  readonly sni: string | undefined;
  /** The address that the caller connected to. */
  readonly localIp: string | undefined;
  /** The Service's port. */
  readonly port: number;
  /** Undefined for a TCP connection. */
  readonly head: RequestFacts | undefined;
  /** The host without a port that says nothing. */
  readonly host: string;
  /** The end user's verified token, through `normalizeClaims`. */
  readonly claims: Claims | undefined;
  /** What the application gets otherwise than the caller sent it. */
  readonly changes: HeaderChanges | undefined;
  readonly trustedHops: number;
  /** The mesh's own. */
  readonly trustDomain: string | undefined;
  readonly nowMs: number;
};

/**
 * The question that an incoming call is to policy. What costs anything to find out is found out only
 * if some rule reads it; `reads` undefined: there is no program, and the answer is no.
 */
export function questionOf(call: JudgedCall, reads: ProgramReads | undefined): Question {
  const { caller, head, ip } = call;
  const verified = caller.kind === 'verified' ? caller.svid : undefined;
  const isForeign = verified !== undefined && verified.id.trustDomain !== call.trustDomain;
  const headers = head === undefined ? undefined : new HeadHeaders(head, call.changes);
  return {
    source: {
      id: verified?.id,
      isForeign,
      ip,
      remoteIp: reads?.remoteIp === true ? remoteIpOf(call, headers) : undefined,
      // SECURITY: what a foreign authority says of its own workloads is its word alone.
      attestation: isForeign ? undefined : verified?.attestation,
    },
    connection: { tls: caller.kind !== 'plaintext', sni: call.sni },
    request: head && {
      method: head.method,
      host: call.host,
      path: head.path,
      headers,
      claims: call.claims,
    },
    destination: { port: call.port, ip: call.localIp },
    nowMs: call.nowMs,
  };
}

/** Whether the sidecar takes a header out of every incoming request. */
export function isStripped(name: string): boolean {
  return STRIPPED.test(name);
}

/** Headers as the application will get them: what the sidecar strips, policy does not see. */
class HeadHeaders implements RequestHeaders {
  readonly #head: RequestFacts;
  readonly #changes: HeaderChanges | undefined;

  constructor(head: RequestFacts, changes: HeaderChanges | undefined) {
    this.#head = head;
    this.#changes = changes;
  }

  collect(name: string, into: string[]): void {
    const wanted = name === ':authority' ? 'host' : name;
    // SECURITY: the caller may write these names, and an ALLOW rule must not take its word for them.
    if (isStripped(wanted)) return;
    for (const [added, value] of this.#changes?.add ?? []) if (added === wanted) into.push(value);
    if (this.#changes?.remove.includes(wanted.replaceAll('_', '-')) === true) return;
    const values = this.#head.fields.values(wanted);
    for (const value of values) into.push(value);
    // HTTP/2 has no such field: its authority stands in.
    if (wanted === 'host' && values.length === 0) into.push(this.#head.host);
  }
}

const STRIPPED = /^x[-_](?:palisade[-_].*|forwarded[-_]client[-_]cert)$/;

function remoteIpOf(call: JudgedCall, headers: RequestHeaders | undefined): string {
  const lines: string[] = [];
  headers?.collect('x-forwarded-for', lines);
  return originalAddress(lines, call.trustedHops, call.proxiedIp ?? call.ip);
}
