import type { Claims } from './claims.ts';
import type { Field } from './field.ts';
import { PrefixHashes } from './prefix-table.ts';
import { localIdOf, type Question, type RequestHeaders } from './question.ts';

/**
 * The question of the decision under way, as the compiled program reads it. One object is reused for
 * all decisions of a program: deciding is synchronous and calls nobody, so it is never re-entered.
 */
export type Facts = {
  id: string | undefined;
  /** The same, undefined for an identity of another trust domain. */
  localId: string | undefined;
  method: string | undefined;
  host: string | undefined;
  path: string | undefined;
  sni: string | undefined;
  headers: RequestHeaders | undefined;
  claims: Claims | undefined;
  attestation: string | undefined;
  port: number;
  nowMs: number;
  /** Addresses, as text; to be read where some rule asks. */
  address: string | undefined;
  remoteAddress: string | undefined;
  destinationAddress: string | undefined;
  readonly idHashes: PrefixHashes;
  readonly hostHashes: PrefixHashes;
  readonly pathHashes: PrefixHashes;
  readonly otherHashes: PrefixHashes;
};

/** Facts of no question yet. */
export function createFacts(): Facts {
  return {
    id: undefined,
    localId: undefined,
    method: undefined,
    host: undefined,
    path: undefined,
    sni: undefined,
    headers: undefined,
    claims: undefined,
    attestation: undefined,
    port: -1,
    nowMs: 0,
    address: undefined,
    remoteAddress: undefined,
    destinationAddress: undefined,
    idHashes: new PrefixHashes(),
    hostHashes: new PrefixHashes(),
    pathHashes: new PrefixHashes(),
    otherHashes: new PrefixHashes(),
  };
}

/** What some rule reads and costs time to prepare, or has to be asked for. */
export type Needs = {
  host: boolean;
  address: boolean;
  remoteAddress: boolean;
  destinationAddress: boolean;
  headers: boolean;
  claims: boolean;
  time: boolean;
};

/** Nothing is read. */
export function createNeeds(): Needs {
  return {
    host: false,
    address: false,
    remoteAddress: false,
    destinationAddress: false,
    headers: false,
    claims: false,
    time: false,
  };
}

/** What either of two needs. */
export function allNeeds(a: Needs, b: Needs): Needs {
  return {
    host: a.host || b.host,
    address: a.address || b.address,
    remoteAddress: a.remoteAddress || b.remoteAddress,
    destinationAddress: a.destinationAddress || b.destinationAddress,
    headers: a.headers || b.headers,
    claims: a.claims || b.claims,
    time: a.time || b.time,
  };
}

/** Notes what a field needs. */
export function addNeed(needs: Needs, field: Field): void {
  if (field === 'ip') needs.address = true;
  else if (field === 'remoteIp') needs.remoteAddress = true;
  else if (field === 'destinationIp') needs.destinationAddress = true;
  else if (field === 'host') needs.host = true;
  else if (field === 'time') needs.time = true;
  else if (field.startsWith('header:')) needs.headers = true;
  else if (field === 'requestPrincipal' || field.startsWith('claim:')) needs.claims = true;
}

/** Fills `facts` from a question. Throws if headers are needed and not known. */
export function readFacts(question: Question, needs: Needs, facts: Facts): void {
  const { request } = question;
  facts.id = question.source.id?.text;
  facts.localId = localIdOf(question);
  facts.idHashes.reset(facts.id ?? '');
  facts.method = request?.method;
  if (needs.host) {
    // Hosts compare without case.
    facts.host = request?.host.toLowerCase();
    facts.hostHashes.reset(facts.host ?? '');
  }
  facts.path = request?.path;
  facts.pathHashes.reset(facts.path ?? '');
  facts.sni = question.connection.sni;
  facts.port = question.destination.port;
  facts.nowMs = question.nowMs;
  facts.attestation = question.source.attestation;
  facts.claims = request?.claims;
  if (needs.headers) {
    facts.headers = request?.headers;
    // SECURITY: an absent header satisfies `notValues`; one that was never looked for must not.
    if (request !== undefined && facts.headers === undefined) throw new Error('unread headers');
  }
  facts.address = question.source.ip;
  facts.remoteAddress = question.source.remoteIp;
  facts.destinationAddress = question.destination.ip;
}

/** The hashes of a text field's value, begun for this question. */
export function factHashes(field: Field, facts: Facts): PrefixHashes {
  if (field === 'path') return facts.pathHashes;
  if (field === 'host') return facts.hostHashes;
  if (field === 'principal') return facts.idHashes;
  // Methods and server names are short and rarely matched by prefix: hashed anew where they are.
  facts.otherHashes.reset(factText(field, facts) ?? '');
  return facts.otherHashes;
}

/** The text of a field that has one at most, undefined where absent. */
export function factText(field: Field, facts: Facts): string | undefined {
  switch (field) {
    case 'principal':
      return facts.id;
    case 'namespace':
    case 'serviceAccount':
      return facts.localId;
    case 'method':
      return facts.method;
    case 'host':
      return facts.host;
    case 'path':
      return facts.path;
    case 'sni':
      return facts.sni;
    default:
      return undefined;
  }
}

/** The address of an address field, as text. */
export function factAddress(field: Field, facts: Facts): string | undefined {
  if (field === 'ip') return facts.address;
  return field === 'remoteIp' ? facts.remoteAddress : facts.destinationAddress;
}
