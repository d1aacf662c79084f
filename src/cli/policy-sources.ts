import type { Session } from '#client';
import type { ResourceSets } from '#compile';
import { parseTrustDomain, type TrustDomain } from '#identity';
import { DEFAULT_TRUST_DOMAIN, type Resource, ROOT_NAMESPACE } from '#resource';
import { type AuthoredFiles, readAuthored, refuseErrors } from './authored-files.ts';
import { liveSet, resourcesOf } from './changes.ts';
import type { CliContext } from './context.ts';
import { EXIT, ExitError } from './exit.ts';
import { type Globals, sessionOf } from './globals.ts';

/** The policy that questions are answered from, live and verified or read from files. */
export type PolicySource = { readonly sets: ResourceSets; readonly trustDomain: TrustDomain };

/** Reads the policy in `files`, or, where there are none, the live sets that the services `to` need. */
export async function readPolicySource(
  context: CliContext,
  globals: Globals,
  wanted: { readonly files: readonly string[] | undefined; readonly to: readonly string[] },
): Promise<PolicySource> {
  if (wanted.files !== undefined) return fromFiles(context, globals, wanted.files);
  const session = sessionOf(globals);
  const namespaces = new Set([ROOT_NAMESPACE, globals.namespace]);
  for (const name of wanted.to)
    for (const namespace of namespacesIn(name)) namespaces.add(namespace);
  return fromLive(session, [...namespaces]);
}

/** Every live namespace, verified. */
export async function readEveryNamespace(session: Session): Promise<PolicySource> {
  const page = await session.api.call<{ items: { namespace: string }[] }>(
    'GET',
    '/policy-sets?limit=1000',
  );
  return fromLive(
    session,
    page.items.map((item) => item.namespace),
  );
}

async function fromFiles(
  context: CliContext,
  globals: Globals,
  files: readonly string[],
): Promise<PolicySource> {
  const authored = await readAuthored(files, { context, namespace: globals.namespace });
  refuseErrors(authored, context);
  return sourceOf(authored);
}

/** The policy that files hold, as if each namespace's part of them were its whole set. */
export function sourceOf(authored: AuthoredFiles): PolicySource {
  const resources = authored.resources.map(({ resource }) => resource);
  const mesh = resources.find((resource) => resource.kind === 'Mesh');
  const sets = new Map<string, { number: number; hash: string; resources: Resource[] }>();
  for (const resource of resources) {
    const { namespace } = resource.metadata;
    const set = sets.get(namespace) ?? { number: 0, hash: '', resources: [] };
    set.resources.push(resource);
    sets.set(namespace, set);
  }
  return { sets, trustDomain: trustDomainNamed(mesh?.spec.trustDomain ?? DEFAULT_TRUST_DOMAIN) };
}

async function fromLive(session: Session, namespaces: readonly string[]): Promise<PolicySource> {
  const entries = await Promise.all(
    namespaces.map(async (namespace) => {
      const live = await liveSet(session, namespace);
      const { number = 0, hash = '' } = live.set?.head ?? {};
      return [namespace, { number, hash, resources: resourcesOf(live) }] as const;
    }),
  );
  return { sets: new Map(entries), trustDomain: trustDomainNamed(session.trustRoot.trustDomain) };
}

// `ns/name`, `name.ns`, `name.ns.svc` …: whichever part is the namespace, it is fetched; a name too many costs one request.
function namespacesIn(to: string): readonly string[] {
  const name = to.split(':')[0] ?? '';
  if (name.includes('/')) return [name.split('/')[0] ?? ''];
  const namespace = name.split('.')[1];
  return namespace === undefined ? [] : [namespace];
}

function trustDomainNamed(text: string): TrustDomain {
  const parsed = parseTrustDomain(text);
  if (parsed.ok) return parsed.value;
  throw new ExitError(EXIT.usage, parsed.error);
}
