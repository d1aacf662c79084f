import { join } from 'node:path';

/** Where an authority keeps what it owns; all of mode 0600. */
export type CaFolder = {
  readonly key: string;
  readonly certificate: string;
  readonly logKey: string;
  readonly jwtKeys: string;
  /** What the keys of hashes in records come from. */
  readonly redactionKey: string;
  readonly database: string;
  readonly revocations: string;
  readonly crl: string;
  /** How the control plane's audit log stood when this authority signed it last. */
  readonly auditWitness: string;
  readonly joinTokenAgent: string;
  readonly joinTokenControl: string;
};

/** The paths of an authority's files in `folder`. */
export function caFolder(folder: string): CaFolder {
  return {
    key: join(folder, 'ca.key'),
    certificate: join(folder, 'ca.crt'),
    logKey: join(folder, 'log.key'),
    jwtKeys: join(folder, 'jwt-keys.json'),
    redactionKey: join(folder, 'redaction.key'),
    database: join(folder, 'ca.db'),
    revocations: join(folder, 'revocations.jsonl'),
    crl: join(folder, 'crl.pem'),
    auditWitness: join(folder, 'audit-witness.json'),
    joinTokenAgent: join(folder, 'join-token-agent'),
    joinTokenControl: join(folder, 'join-token-control'),
  };
}
