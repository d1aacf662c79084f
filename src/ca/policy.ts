import type { DatabaseSync } from 'node:sqlite';
import { parseSpiffeId } from '#identity';
import { fail, type Result } from '#lib';
import {
  type NodeAttestorSpec,
  parseStoredResource,
  type RegistrationResource,
  ROOT_NAMESPACE,
} from '#resource';
import { EVENT, type Log } from '#telemetry';
import {
  applyUpdate,
  fullUpdate,
  type PolicySet,
  type PolicySetUpdate,
  succeedTrustRoot,
  type TrustError,
  type TrustRoot,
} from '#trust';
import type { SignedRegistration } from './check.ts';
import { isReserved } from './mesh-identity.ts';

/** The signed policy this authority decides by: verified, kept on disk, and never older than it was. */
export type Policy = {
  readonly trustRoot: () => TrustRoot;
  readonly sets: () => readonly PolicySet[];
  /** The registrations that name this SPIFFE ID. */
  readonly registrationsOf: (spiffeId: string) => readonly SignedRegistration[];
  /** What JWT-SVIDs name as their issuer, where the Mesh says so. */
  readonly jwtIssuer: () => string | undefined;
  /** How hosts may prove themselves, as the root namespace says. */
  readonly nodeAttestors: () => readonly NodeAttestorSpec[];
  /** Verifies and, if all is well, keeps an update. Refusals change nothing. */
  readonly apply: (update: PolicySetUpdate) => Result<PolicySet, TrustError>;
  /** Verifies and keeps the trust root's successor. */
  readonly succeed: (envelope: unknown) => Result<TrustRoot, TrustError>;
  /** Calls `listener` after each change until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void;
};

/** What opening needs: `trustRoot` is the one in the trust root file. */
export type PolicyOptions = {
  readonly database: DatabaseSync;
  readonly trustRoot: TrustRoot;
  readonly clock: () => number;
  readonly log: Log;
};

/** Loads what is on disk, verifying it again; what does not verify is left out and logged. */
export function openPolicy(options: PolicyOptions): Policy {
  const { database, clock, log } = options;
  const storage = createStorage(database);
  let trustRoot = newestTrustRoot(options, storage.trustRoot());
  const sets = new Map<string, PolicySet>();
  const floors = new Map<string, number>();
  const registrations = new Map<string, ReadonlyMap<string, readonly SignedRegistration[]>>();
  let nodeAttestors: readonly NodeAttestorSpec[] = [];
  let jwtIssuer: string | undefined;
  const listeners = new Set<() => void>();

  function hold(set: PolicySet): void {
    sets.set(set.namespace, set);
    // SECURITY: who may join the mesh is said by those who may speak for all of it.
    if (set.namespace === ROOT_NAMESPACE) {
      nodeAttestors = nodeAttestorsOf(set);
      jwtIssuer = jwtIssuerOf(set);
    }
    const usable = usableRegistrations(set, trustRoot.trustDomain);
    registrations.set(
      set.namespace,
      Map.groupBy(usable, ({ registration }) => registration.spec.spiffeId),
    );
  }

  // SECURITY: newer policy may take an identity away, so it counts at once, even where the disk takes no more.
  function keep(write: () => void): void {
    try {
      write();
    } catch (error) {
      log.error(EVENT.stateWriteFailed, { error });
    }
  }

  for (const { namespace, number, update } of storage.sets()) {
    floors.set(namespace, number);
    const loaded = applyUpdate(undefined, update, trustRoot, clock());
    if (loaded.ok) hold(loaded.value);
    else log.error(EVENT.policyOnDiskRefused, { namespace, ...loaded.error });
  }

  return {
    trustRoot: () => trustRoot,
    sets: () => [...sets.values()],
    registrationsOf: (spiffeId) =>
      [...registrations.values()].flatMap((byId) => byId.get(spiffeId) ?? []),
    jwtIssuer: () => jwtIssuer,
    nodeAttestors: () => nodeAttestors,
    apply(update) {
      const current = sets.get(update.namespace);
      const applied = applyUpdate(current, update, trustRoot, clock());
      if (!applied.ok || applied.value === current) return applied;
      const set = applied.value;
      const floor = floors.get(set.namespace) ?? 0;
      // SECURITY: where the copy on disk did not verify, its number is still the least that is accepted.
      if (set.head.number < floor) return olderThan(floor, set);
      keep(() => storage.putSet(set));
      hold(set);
      for (const listener of Array.from(listeners)) listener();
      return applied;
    },
    succeed(envelope) {
      const next = succeedTrustRoot(trustRoot, envelope, clock());
      if (!next.ok || next.value === trustRoot) return next;
      keep(() => storage.putTrustRoot(next.value.version, envelope));
      trustRoot = next.value;
      for (const listener of Array.from(listeners)) listener();
      return next;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The registrations of a set that this version understands and that stay within their namespace. */
function usableRegistrations(set: PolicySet, trustDomain: string): SignedRegistration[] {
  const signed: SignedRegistration[] = [];
  for (const [key, value] of set.resources) {
    if (!key.startsWith('Registration/')) continue;
    const parsed = parseStoredResource(value);
    if (!parsed.ok || parsed.value.kind !== 'Registration') continue;
    const registration = parsed.value;
    if (!mayGive(registration, trustDomain)) continue;
    signed.push({ registration, set: `${set.namespace}@${set.head.number}` });
  }
  return signed;
}

function jwtIssuerOf(set: PolicySet): string | undefined {
  const mesh = parseStoredResource(set.resources.get('Mesh/mesh'));
  return mesh.ok && mesh.value.kind === 'Mesh' ? mesh.value.spec.jwtIssuer : undefined;
}

function nodeAttestorsOf(set: PolicySet): readonly NodeAttestorSpec[] {
  return [...set.resources].flatMap(([key, value]) => {
    const parsed = key.startsWith('NodeAttestor/') ? parseStoredResource(value) : undefined;
    return parsed?.ok === true && parsed.value.kind === 'NodeAttestor' ? [parsed.value.spec] : [];
  });
}

/**
 * SECURITY: whoever may sign for a namespace may give its identities only; the root namespace any workload's, and
 * nobody those of the mesh itself. Admission says so too, but this authority does not rely on it.
 */
function mayGive({ metadata, spec }: RegistrationResource, trustDomain: string): boolean {
  const id = parseSpiffeId(spec.spiffeId);
  if (!id.ok || id.value.trustDomain !== trustDomain || isReserved(id.value)) return false;
  return metadata.namespace === ROOT_NAMESPACE || id.value.namespace === metadata.namespace;
}

function newestTrustRoot({ trustRoot, log, clock }: PolicyOptions, stored: unknown): TrustRoot {
  if (stored === undefined) return trustRoot;
  const succeeded = succeedTrustRoot(trustRoot, stored, clock());
  if (succeeded.ok) return succeeded.value;
  // An operator who put a newer file there meant it; that is how the stored one comes to be older.
  if (succeeded.error.code !== 'version_rollback') {
    log.error(EVENT.trustRootRefused, { ...succeeded.error });
  }
  return trustRoot;
}

function olderThan(floor: number, set: PolicySet): Result<never, TrustError> {
  const { number, hash } = set.head;
  const message = `commit ${number} is older than ${floor}, which was enforced before`;
  return fail({ code: 'version_rollback', message, number, hash });
}

function createStorage(database: DatabaseSync) {
  const putSet = database.prepare(
    'INSERT INTO policy_set (namespace, number, set_json) VALUES (?, ?, ?) ON CONFLICT (namespace) DO UPDATE SET number = excluded.number, set_json = excluded.set_json',
  );
  const putTrustRoot = database.prepare(
    'INSERT INTO trust_root (id, version, envelope) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, envelope = excluded.envelope',
  );
  return {
    putSet(set: PolicySet) {
      putSet.run(set.namespace, set.head.number, JSON.stringify(fullUpdate(set)));
    },
    putTrustRoot(version: number, envelope: unknown) {
      putTrustRoot.run(version, JSON.stringify(envelope));
    },
    sets() {
      return database
        .prepare('SELECT namespace, number, set_json FROM policy_set')
        .all()
        .map((row) => ({
          namespace: String(row['namespace']),
          number: Number(row['number']),
          update: parseJson(row['set_json']) as PolicySetUpdate,
        }));
    },
    trustRoot() {
      const row = database.prepare('SELECT envelope FROM trust_root').get();
      return row === undefined ? undefined : parseJson(row['envelope']);
    },
  };
}

function parseJson(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    // An edited row: null is nothing that verifies, and the refusal is logged where it is verified.
    return null;
  }
}
