import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  applyUpdate,
  fullUpdate,
  openTrustRoot,
  type PolicySet,
  type PolicySetUpdate,
  succeedTrustRoot,
  type TrustRoot,
} from '#trust';
import type { StateFolder } from './state-folder.ts';
import {
  lookupKey,
  type VerifiedLookup,
  type VerifiedPolicy,
  verifyLookupResult,
} from './verify.ts';

/** The pinned trust root, sets and lookups on disk. */
export type PolicyFiles = {
  /** Everything on disk that verifies against the pinned root now. */
  readonly load: (nowMs: number) => VerifiedPolicy;
  readonly saveSet: (set: PolicySet) => Promise<void>;
  readonly saveLookups: (lookups: Iterable<VerifiedLookup>) => Promise<void>;
  readonly saveTrustRoot: (envelope: unknown) => Promise<void>;
};

const TRUST_ROOT_FILE = 'trust-root.json';
const LOOKUPS_FILE = 'lookups.json';

/**
 * Opens the policy kept in `folder`. The trust root is pinned at the first start: copied from `trustRootFile`, which
 * is never looked at again. Fails in words if there is no valid one.
 */
export async function openPolicyFiles(options: {
  readonly folder: StateFolder;
  readonly trustRootFile: string;
  readonly log: Log;
}): Promise<Result<PolicyFiles, string>> {
  const { folder, log } = options;
  const pinned = await pinTrustRoot(options);
  if (!pinned.ok) return pinned;
  return ok({
    load: (nowMs) => loadPolicy(folder, { trustRoot: pinned.value, nowMs, log }),
    saveSet: (set) => folder.writeJson(setFile(set.namespace), fullUpdate(set)),
    saveLookups: (lookups) => folder.writeJson(LOOKUPS_FILE, Array.from(lookups, storedLookup)),
    saveTrustRoot: (envelope) => folder.writeJson(TRUST_ROOT_FILE, envelope),
  });
}

async function pinTrustRoot(options: {
  readonly folder: StateFolder;
  readonly trustRootFile: string;
  readonly log: Log;
}): Promise<Result<TrustRoot, string>> {
  const { folder, trustRootFile, log } = options;
  const kept = folder.readJson(TRUST_ROOT_FILE);
  if (kept !== undefined) {
    const root = openTrustRoot(kept);
    // SECURITY: a pinned root that went bad is never replaced silently: that would be pinning anew.
    return root.ok
      ? ok(await successorIn(trustRootFile, root.value, options))
      : fail(`\`${join(folder.path, TRUST_ROOT_FILE)}\`: ${root.error.message}`);
  }
  const envelope = readJsonFile(trustRootFile);
  if (!envelope.ok) return envelope;
  const root = openTrustRoot(envelope.value);
  if (!root.ok) return fail(`\`${trustRootFile}\`: ${root.error.message}`);
  try {
    await folder.writeJson(TRUST_ROOT_FILE, envelope.value);
  } catch (error) {
    return fail(
      `the trust root cannot be pinned in \`${folder.path}\`: ${(error as Error).message}`,
    );
  }
  log.info(EVENT.trustRootPinned, { version: root.value.version });
  return root;
}

/** Who slept through a rotation trusts none of the mesh's servers; an operator brings the successor as a file. */
async function successorIn(
  path: string,
  pinned: TrustRoot,
  { folder, log }: { readonly folder: StateFolder; readonly log: Log },
): Promise<TrustRoot> {
  const envelope = readJsonFile(path);
  const next = envelope.ok ? succeedTrustRoot(pinned, envelope.value, Date.now()) : undefined;
  if (!envelope.ok || next?.ok !== true || next.value.version === pinned.version) return pinned;
  await folder.writeJson(TRUST_ROOT_FILE, envelope.value).catch((error: unknown) => {
    log.error(EVENT.stateWriteFailed, { file: TRUST_ROOT_FILE, error });
  });
  log.info(EVENT.trustRootSucceeded, { version: next.value.version });
  return next.value;
}

function loadPolicy(
  folder: StateFolder,
  options: { readonly trustRoot: TrustRoot; readonly nowMs: number; readonly log: Log },
): VerifiedPolicy {
  const { trustRoot, nowMs, log } = options;
  const sets = new Map<string, PolicySet>();
  for (const name of setFiles(folder)) {
    // SECURITY: the disk is no better than the network: what lies there is verified like what arrives.
    const update = folder.readJson(join('sets', name));
    const set = applyUpdate(undefined, update as PolicySetUpdate, trustRoot, nowMs);
    if (set.ok) {
      sets.set(set.value.namespace, set.value);
      const { namespace, head } = set.value;
      log.info(EVENT.policyLoaded, { namespace, number: head.number });
    } else {
      log.error(EVENT.policyOnDiskRefused, { file: name, reason: set.error.message });
    }
  }
  const lookups = new Map<string, VerifiedLookup>();
  const policy = { trustRoot, sets, lookups };
  for (const stored of readLookups(folder)) {
    const lookup = verifyLookupResult({ ...policy, lookups: new Map() }, stored, nowMs);
    if (lookup.ok) lookups.set(lookupKey(lookup.value), lookup.value);
  }
  return policy;
}

function setFiles(folder: StateFolder): readonly string[] {
  try {
    return readdirSync(join(folder.path, 'sets')).filter((name) => name.endsWith('.json'));
  } catch {
    // The folder comes with the first set.
    return [];
  }
}

function setFile(namespace: string): string {
  // INVARIANT: a verified namespace is a DNS label, hence a plain file name.
  return join('sets', `${namespace}.json`);
}

function storedLookup({ namespace, kind, name, evidence }: VerifiedLookup) {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const { commit, resource, proof } = evidence;
  return {
    namespace,
    kind,
    name,
    commit: base64(commit),
    resource: base64(resource),
    proof: base64(proof),
  };
}

function readLookups(folder: StateFolder) {
  const stored = folder.readJson(LOOKUPS_FILE);
  if (!Array.isArray(stored)) return [];
  return stored
    .filter((item): item is Record<string, unknown> => typeof item === 'object' && item !== null)
    .map((item) => ({
      namespace: String(item['namespace']),
      kind: String(item['kind']),
      name: String(item['name']),
      commit: Buffer.from(String(item['commit']), 'base64'),
      resource: Buffer.from(String(item['resource']), 'base64'),
      proof: Buffer.from(String(item['proof']), 'base64'),
    }));
}

function readJsonFile(path: string): Result<unknown, string> {
  try {
    return ok(JSON.parse(readFileSync(path, 'utf8')) as unknown);
  } catch (error) {
    return fail(`no trust root in \`${path}\`: ${error instanceof Error ? error.message : ''}`);
  }
}
