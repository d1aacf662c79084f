import { type Address, readAddress } from './address-index.ts';
import type { Field } from './ir.ts';
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
  };
}

/** Fills `facts` from a question; the address only if some rule reads it, throwing if it is none. */
export function readFacts(question: Question, readsAddress: boolean, facts: Facts): void {
  const { request } = question;
  facts.id = question.source.id?.text;
  facts.method = request?.method;
  // Hosts compare without case; V8 returns the same string where nothing changes.
  facts.host = request?.host.toLowerCase();
  facts.path = request?.path;
  facts.sni = question.connection.sni;
  facts.port = question.destination.port;
  if (readsAddress) readAddress(question.source.ip, facts.address);
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
