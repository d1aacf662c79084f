import { parseCaller, parseServiceName } from '#compile';
import { createWorld, nearest } from '#resource';
import type { CliContext } from '../../context.ts';
import { printable } from '../../output.ts';
import type { PolicySource } from '../../policy-sources.ts';

/** Whose names are looked up, as the question has them. */
export type NamedInQuestion = {
  readonly to: string;
  /** Undefined: a caller without identity. */
  readonly from?: string | undefined;
  /** The namespace of names that say none. */
  readonly namespace: string;
  /** Answered from files, which need not hold the Services that they speak of: only what looks mistyped is told. */
  readonly isOffline: boolean;
};

/**
 * Says on standard error, before an answer that policy alone would give, that there is no such service or caller, and which
 * name is nearest: a question about a mistyped name gets an answer too, and a wrong one.
 */
export function noteUnknownNames(
  context: Pick<CliContext, 'stderr'>,
  { sets, trustDomain }: PolicySource,
  question: NamedInQuestion,
): void {
  const world = createWorld([...sets.values()].flatMap((set) => set.resources));
  const services = world.services.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const { to, from, namespace, isOffline } = question;
  const tell = (what: string, meant: Guess, rest: string): void => {
    const guess = meant === undefined ? '' : `; did you mean \`${meant}\`?`;
    if (guess !== '' || !isOffline) context.stderr.write(`palisade: ${what}${guess}${rest}\n`);
  };
  const name = parseServiceName(to, namespace, trustDomain);
  if (name.ok && world.servicesOf.get(name.value.namespace)?.has(name.value.name) !== true) {
    const effect = isOffline ? '' : ' in the mesh, so callers get 404 no_such_service';
    const meant = guessOf(`${name.value.namespace}/${name.value.name}`, services, namespace);
    tell(`there is no Service \`${printable(to)}\`${effect}`, meant, byPolicyAlone(meant));
  }
  const account = from === undefined ? undefined : ownAccount(from, { namespace, trustDomain });
  if (account === undefined || world.accounts.has(account)) return;
  const meant = guessOf(account, [...world.accounts], namespace);
  tell(`no Service or Registration has the account \`${printable(account)}\``, meant, '');
}

type Guess = string | undefined;

function byPolicyAlone(meant: Guess): string {
  return meant === undefined ? '; by policy alone:' : ' By policy alone:';
}

// `NAMESPACE/ACCOUNT` of a caller of this mesh; others may be anybody.
function ownAccount(
  from: string,
  {
    namespace,
    trustDomain,
  }: { readonly namespace: string; readonly trustDomain: PolicySource['trustDomain'] },
): string | undefined {
  const id = parseCaller(from, namespace, trustDomain);
  if (!id.ok || id.value?.trustDomain !== trustDomain || id.value.namespace === undefined)
    return undefined;
  return `${id.value.namespace}/${id.value.serviceAccount}`;
}

// A suggestion is a courtesy: in a large mesh it looks at the first names only.
const MOST = 5_000;

// As it would be typed, without the namespace where that goes without saying: a name near it, or the same elsewhere.
function guessOf(wanted: string, all: readonly string[], namespace: string): Guess {
  const known = all.slice(0, MOST);
  const [inside = '', name = ''] = wanted.split('/');
  const namesIn = (ns: string): string[] =>
    known.flatMap((one) => (one.startsWith(`${ns}/`) ? [one.slice(ns.length + 1)] : []));
  const near = nearest(name, namesIn(inside));
  if (near !== undefined) return inside === namespace ? near : `${inside}/${near}`;
  const elsewhere = known.filter((one) => one.endsWith(`/${name}`));
  const namespaces = elsewhere.map((one) => one.slice(0, one.indexOf('/')));
  const meant = nearest(inside, namespaces) ?? namespaces[0];
  return meant === undefined ? undefined : `${meant}/${name}`;
}
