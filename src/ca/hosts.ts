import type { DatabaseSync } from 'node:sqlite';
import { type AttestationStrength, isAttestationStrength, type SpiffeId } from '#identity';

/** What this authority knows of an agent's host because it verified it itself. */
export type HostEvidence = {
  /** The attestor that verified it, e.g. `x509pop`. */
  readonly attestor: string;
  readonly strength: AttestationStrength;
  readonly selectors: readonly string[];
};

/** A host in the book: its evidence, and the certificate its agent got last. */
export type KnownHost = HostEvidence & { readonly serial: string; readonly attestedAt: number };

/** The hosts whose agents this authority certified. */
export type Hosts = {
  readonly find: (agent: SpiffeId) => KnownHost | undefined;
  /** What counts as evidence in decisions: the host's own, with its agent's ID. */
  readonly evidenceOf: (agent: SpiffeId) => HostEvidence;
  /** Keeps what was verified, with the certificate that follows from it. */
  readonly record: (agent: SpiffeId, host: KnownHost) => void;
  /** Notes the certificate that an agent holds from now on. */
  readonly certified: (
    grant: { readonly id: SpiffeId },
    entry: { readonly serial: string; readonly timeMs: number },
  ) => void;
  /** Uses up a join token; false if it was used before. */
  readonly spend: (tokenId: string, expiresAt: number) => boolean;
};

/** Opens the book in an authority's database. */
export function openHosts(database: DatabaseSync): Hosts {
  const select = database.prepare(
    'SELECT attestor, strength, selectors, serial, attested_at FROM host WHERE agent = ?',
  );
  const upsert = database.prepare(
    `INSERT INTO host (agent, attestor, strength, selectors, serial, attested_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (agent) DO UPDATE SET attestor = excluded.attestor, strength = excluded.strength,
     selectors = excluded.selectors, serial = excluded.serial, attested_at = excluded.attested_at`,
  );
  const update = database.prepare('UPDATE host SET serial = ? WHERE agent = ?');
  const spend = database.prepare(
    'INSERT INTO spent_token (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const forget = database.prepare('DELETE FROM spent_token WHERE expires_at < ?');

  // What each request of an agent is decided by. INVARIANT: whatever is written here goes through `changed`.
  const evidence = new Map<string, HostEvidence>();

  function changed(agent: string): void {
    evidence.delete(agent);
  }

  function find(agent: SpiffeId): KnownHost | undefined {
    const row = select.get(agent.text);
    if (row === undefined) return undefined;
    const strength = String(row['strength']);
    return {
      attestor: String(row['attestor']),
      strength: isAttestationStrength(strength) ? strength : 'none',
      selectors: JSON.parse(String(row['selectors'])) as string[],
      serial: String(row['serial']),
      attestedAt: Number(row['attested_at']),
    };
  }

  function record(agent: SpiffeId, host: KnownHost): void {
    const { attestor, strength, selectors, serial, attestedAt } = host;
    changed(agent.text);
    upsert.run(agent.text, attestor, strength, JSON.stringify(selectors), serial, attestedAt);
  }

  return {
    find,
    evidenceOf(agent) {
      const known = evidence.get(agent.text);
      if (known !== undefined) return known;
      // An agent certified before the book was kept came with a join token: there was no other way.
      const { attestor, strength, selectors } = find(agent) ?? ENROLLED_BY_TOKEN;
      const found = { attestor, strength, selectors: [...selectors, `agent:id:${agent.path}`] };
      if (evidence.size >= MAX_REMEMBERED) evidence.clear();
      evidence.set(agent.text, found);
      return found;
    },
    certified({ id }, { serial, timeMs }) {
      changed(id.text);
      if (update.run(serial, id.text).changes > 0) return;
      record(id, { ...ENROLLED_BY_TOKEN, serial, attestedAt: timeMs });
    },
    record,
    spend(tokenId, expiresAt) {
      // An expired token is refused by its time, so that it was used need not be remembered.
      forget.run(expiresAt - TOKEN_MEMORY_MS);
      return spend.run(tokenId, expiresAt).changes === 1;
    },
  };
}

const MAX_REMEMBERED = 10_000;
const ENROLLED_BY_TOKEN: HostEvidence = {
  attestor: 'join_token',
  strength: 'token',
  selectors: ['agent:attestor:join_token'],
};
const TOKEN_MEMORY_MS = 90 * 24 * 3_600_000;
