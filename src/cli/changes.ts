import {
  type Change,
  commitChanges,
  fetchPolicySet,
  type LiveSet,
  type Session,
  type StoredCommit,
} from '#client';
import {
  type AuthoredResource,
  parseStoredResource,
  type Resource,
  ROOT_NAMESPACE,
  resourceKey,
} from '#resource';
import { canonicalJson } from '#trust';
import { EXIT, ExitError } from './exit.ts';
import { authorOf } from './globals.ts';

/** What applying would do to one resource. */
export type PlannedChange = {
  readonly namespace: string;
  readonly key: string;
  readonly action: 'created' | 'configured' | 'unchanged' | 'deleted';
  readonly before: unknown;
  readonly after: unknown;
  readonly source: string | undefined;
};

/** The live set of `namespace`, verified; ends the command when the control plane shows one that does not verify. */
export async function liveSet(session: Session, namespace: string): Promise<LiveSet> {
  const live = await fetchPolicySet(session.api, namespace, session.trustRoot);
  if (live.ok) return live.value;
  throw new ExitError(
    EXIT.no,
    `the policy set of \`${namespace}\` that the control plane shows does not verify: ${live.error.message}`,
    'enforcement points keep their last good set; compare `palisade status`, and restore the control plane from a backup',
  );
}

/** The resources of a live set as this version reads them; those it cannot read are left out. */
export function resourcesOf(live: LiveSet): readonly Resource[] {
  const parsed = [...(live.set?.resources.values() ?? [])].map((value) =>
    parseStoredResource(value),
  );
  return parsed.flatMap((result) => (result.ok ? [result.value] : []));
}

/** The namespaces that `authored` touches, the root namespace first because others may build on it. */
export function namespacesOf(authored: readonly AuthoredResource[]): readonly string[] {
  const names = [...new Set(authored.map(({ resource }) => resource.metadata.namespace))].sort();
  return names.sort((a, b) => Number(b === ROOT_NAMESPACE) - Number(a === ROOT_NAMESPACE));
}

/** Compares what was authored for `namespace` with what is live there. */
export function planChanges(
  namespace: string,
  authored: readonly AuthoredResource[],
  live: LiveSet,
  options: { readonly prune: boolean },
): readonly PlannedChange[] {
  const wanted = authored.filter(({ resource }) => resource.metadata.namespace === namespace);
  const keys = new Set(wanted.map(({ resource }) => resourceKey(resource)));
  const set = wanted.map(({ resource, text }) => {
    const key = resourceKey(resource);
    const before = live.set?.resources.get(key);
    const same = before !== undefined && canonicalJson(before) === canonicalJson(resource);
    const action = before === undefined ? 'created' : same ? 'unchanged' : 'configured';
    return {
      namespace,
      key,
      action,
      before,
      after: resource,
      source: text,
    } satisfies PlannedChange;
  });
  if (!options.prune) return set;
  // The Mesh is made with the mesh: files that do not speak of it do not mean to be rid of it.
  const gone = [...(live.set?.resources.keys() ?? [])].filter(
    (key) => !keys.has(key) && !key.startsWith('Mesh/'),
  );
  return [...set, ...gone.map((key) => deletion(namespace, key, live))];
}

/** The deletion of one live resource. */
export function deletion(namespace: string, key: string, live: LiveSet): PlannedChange {
  return {
    namespace,
    key,
    action: 'deleted',
    before: live.set?.resources.get(key),
    after: undefined,
    source: undefined,
  };
}

/** Signs and hands in what `plan` makes of the live set; undefined where nothing changes. */
export async function commitPlan(
  session: Session,
  namespace: string,
  plan: (live: LiveSet) => readonly PlannedChange[],
): Promise<StoredCommit | undefined> {
  const stored = await commitChanges({
    api: session.api,
    namespace,
    trustRoot: session.trustRoot,
    author: authorOf(session),
    changes: (live) =>
      plan(live)
        .filter((change) => change.action !== 'unchanged')
        .map(asChange),
  });
  if (stored.ok) return stored.value;
  throw new ExitError(
    EXIT.no,
    `the live policy set of \`${namespace}\` does not verify: ${stored.error.message}`,
  );
}

function asChange(planned: PlannedChange): Change {
  if (planned.action === 'deleted') return { key: planned.key };
  const change = { key: planned.key, resource: planned.after };
  return planned.source === undefined ? change : { ...change, source: planned.source };
}
