import { cidrContains, parseCidr } from '#lib';
import type { RuleCondition } from './authorization-condition.ts';
import type { AuthorizationPolicyResource, AuthorizationRule } from './authorization-policy.ts';

type Lists = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Whether whatever one rule matches another one matches too, as far as their values show: no claim is
 * made where that takes more than comparing values one by one, so `false` means that it is not known.
 * `domain` is the mesh's trust domain where it has that one name, else undefined.
 */
export function ruleCovers(
  wide: AuthorizationRule,
  narrow: AuthorizationRule,
  domain: string | undefined,
): boolean {
  const covers = (name: string, a: string, b: string) =>
    valueCovers(name, a, b) && (!/principals?$/i.test(name) || isSameNamed(a, b, domain));
  return (
    anyCovers(
      wide.from?.map(({ source }) => source),
      narrow.from?.map(({ source }) => source),
      covers,
    ) &&
    anyCovers(
      wide.to?.map(({ operation }) => operation),
      narrow.to?.map(({ operation }) => operation),
      covers,
    ) &&
    whenCovers(wide.when ?? [], narrow.when ?? [], covers)
  );
}

/** Whether each value that matches `narrow` is known to match `wide`. */
type Covers = (name: string, wide: string, narrow: string) => boolean;

/** Whether a policy applies to every workload that another one applies to. */
export function selectionCovers(
  wide: AuthorizationPolicyResource,
  narrow: AuthorizationPolicyResource,
  rootNamespace: string,
): boolean {
  const isRoot = wide.metadata.namespace === rootNamespace;
  if (!isRoot && wide.metadata.namespace !== narrow.metadata.namespace) return false;
  const targets = wide.spec.targetRefs?.map(({ name }) => name);
  if (targets !== undefined) {
    const others = narrow.spec.targetRefs?.map(({ name }) => name);
    return others !== undefined && !isRoot && others.every((name) => targets.includes(name));
  }
  const labels = Object.entries(wide.spec.selector?.matchLabels ?? {});
  const others = narrow.spec.selector?.matchLabels ?? {};
  return labels.every(([key, value]) => Object.hasOwn(others, key) && others[key] === value);
}

/** The list of a source or operation that no value can satisfy beside the others; undefined if none is seen. */
export function contradiction(lists: Lists): string | undefined {
  for (const [name, values] of Object.entries(lists)) {
    const not = lists[`not${name.charAt(0).toUpperCase()}${name.slice(1)}`];
    if (values !== undefined && isExcluded(name, values, not)) return name;
  }
  return undefined;
}

/** Whether each value of a condition is excluded by its own `notValues`. */
export function isContradiction({ key, values, notValues }: RuleCondition): boolean {
  return values !== undefined && isExcluded(key, values, notValues);
}

function isExcluded(
  name: string,
  values: readonly string[],
  not: readonly string[] | undefined,
): boolean {
  return not !== undefined && values.every((one) => not.some((by) => valueCovers(name, by, one)));
}

/** Whether all principals of a source are named in full, and all are of other namespaces than those asked for. */
export function isElsewhere({ principals, namespaces }: Lists): boolean {
  if (principals === undefined || namespaces === undefined) return false;
  if ([...principals, ...namespaces].some((value) => value.includes('*'))) return false;
  return principals.every((one) => !namespaces.some((ns) => `/${one}/`.includes(`/ns/${ns}/`)));
}

/** All of `when` must hold, so each wide condition needs a narrow one that it covers. */
function whenCovers(
  wide: readonly RuleCondition[],
  narrow: readonly RuleCondition[],
  covers: Covers,
): boolean {
  return wide.every(({ key, values, notValues }) => {
    const others = narrow.filter((other) => other.key === key);
    return (
      (values === undefined ||
        others.some((other) => other.values && listCovers(key, values, other.values, covers))) &&
      (notValues === undefined ||
        others.some(
          (other) => other.notValues && listCovers(key, other.notValues, notValues, covers),
        ))
    );
  });
}

/** An absent list matches everything; each narrow alternative needs a wide one that covers it. */
function anyCovers(
  wide: readonly object[] | undefined,
  narrow: readonly object[] | undefined,
  covers: Covers,
): boolean {
  if (wide === undefined || wide.length === 0) return true;
  if (narrow === undefined || narrow.length === 0) return false;
  return narrow.every((one) =>
    wide.some((other) => listsCover(other as Lists, one as Lists, covers)),
  );
}

function listsCover(wide: Lists, narrow: Lists, covers: Covers): boolean {
  return Object.entries(wide).every(([name, values]) => {
    const others = narrow[name];
    if (values === undefined) return true;
    if (others === undefined) return false;
    // A negation excludes less the fewer values it has.
    return /^not[A-Z]/.test(name)
      ? listCovers(name, others, values, covers)
      : listCovers(name, values, others, covers);
  });
}

function listCovers(
  name: string,
  wide: readonly string[],
  narrow: readonly string[],
  covers: Covers,
): boolean {
  return narrow.every((value) => wide.some((other) => covers(name, other, value)));
}

// Wildcards at one end, of fields where a star means that; elsewhere only equal texts are surely equal.
const WILD =
  /^(?:(?:not)?(?:principals|namespaces|methods|hosts|paths)|source\.(?:principal|namespace)|connection\.sni|request\.headers\[.*|request\.auth\.(?:claims\[.*|audiences|presenter))$/i;
const ADDRESS = /^(?:(?:not)?(?:ipBlocks|remoteIpBlocks)|source\.ip|remote\.ip|destination\.ip)$/i;

function valueCovers(name: string, wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (ADDRESS.test(name)) return blockCovers(wide, narrow);
  if (!WILD.test(name) || /[{}]/.test(wide + narrow)) return false;
  if (wide === '*') return true;
  if (narrow.startsWith('*')) return wide.startsWith('*') && narrow.endsWith(wide.slice(1));
  if (wide.startsWith('*')) return !narrow.endsWith('*') && narrow.endsWith(wide.slice(1));
  return wide.endsWith('*') && narrow.startsWith(wide.slice(0, -1));
}

/**
 * A principal of all five parts means every name of the mesh's own trust domain, and `cluster.local` means it; a
 * pattern of fewer parts means what it says. So of the two one is known to cover the other only where that is one name.
 */
function isSameNamed(wide: string, narrow: string, domain: string | undefined): boolean {
  const isWhole = (text: string) => text.split('/').length === 5;
  if (wide === narrow || wide.startsWith('*/') || isWhole(wide) === isWhole(narrow)) return true;
  return domain !== undefined && [wide, narrow].every((text) => text.startsWith(`${domain}/`));
}

function blockCovers(wide: string, narrow: string): boolean {
  const outer = parseCidr(wide);
  const inner = parseCidr(narrow);
  if (!outer.ok || !inner.ok || outer.value.bits > inner.value.bits) return false;
  return cidrContains(outer.value, inner.value.bytes);
}
