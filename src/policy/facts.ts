import { type Address, readAddress } from './address-index.ts';
import type { Field } from './ir.ts';
import { PrefixHashes } from './prefix-table.ts';
import type { Question } from './question.ts';

/**
 * The question of the decision under way, as the compiled program reads it. One object is reused for
 * all decisions of a program: deciding is synchronous and calls nobody, so it is never re-entered.
 */
export type Facts = {
  id: string | undefined;
  method: string | undefined;
  host: string | undefined;
  path: string | undefined;
  sni: string | undefined;
  port: number;
  readonly address: Address;
  readonly idHashes: PrefixHashes;
  readonly hostHashes: PrefixHashes;
  readonly pathHashes: PrefixHashes;
  readonly otherHashes: PrefixHashes;
};

/** Facts of no question yet. */
export function createFacts(): Facts {
  return {
    id: undefined,
    method: undefined,
    host: undefined,
    path: undefined,
    sni: undefined,
    port: -1,
    address: { v4: -1, v6: undefined },
    idHashes: new PrefixHashes(),
    hostHashes: new PrefixHashes(),
    pathHashes: new PrefixHashes(),
    otherHashes: new PrefixHashes(),
  };
}

/** What some rule reads and costs time to prepare. */
export type Needs = { host: boolean; address: boolean };

/** Fills `facts` from a question. Throws if the address is needed and none. */
export function readFacts(question: Question, needs: Needs, facts: Facts): void {
  const { request } = question;
  facts.id = question.source.id?.text;
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
  if (needs.address) readAddress(question.source.ip, facts.address);
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

/** The text of a text field, undefined where absent. */
export function factText(field: Field, facts: Facts): string | undefined {
  switch (field) {
    case 'principal':
    case 'namespace':
    case 'serviceAccount':
      return facts.id;
    case 'method':
      return facts.method;
    case 'host':
      return facts.host;
    case 'path':
      return facts.path;
    case 'sni':
      return facts.sni;
    case 'ip':
    case 'port':
      return undefined;
  }
}
