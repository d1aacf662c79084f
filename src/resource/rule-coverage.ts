import type { AuthorizationPolicyResource, AuthorizationRule } from './authorization-policy.ts';

type Lists = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Whether whatever one rule matches another one matches too, as far as their values show: no claim is
 * made where that takes more than comparing texts, so `false` means that it is not known.
 */
export function ruleCovers(wide: AuthorizationRule, narrow: AuthorizationRule): boolean {
  const wideWhen = whenLists(wide);
  const narrowWhen = whenLists(narrow);
  return (
    anyCovers(
      wide.from?.map(({ source }) => source),
      narrow.from?.map(({ source }) => source),
    ) &&
    anyCovers(
      wide.to?.map(({ operation }) => operation),
      narrow.to?.map(({ operation }) => operation),
    ) &&
    listsCover(wideWhen, narrowWhen)
  );
}

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

/** The field of a source, operation or condition that no value can satisfy; undefined if none is seen. */
export function contradiction(lists: Lists): string | undefined {
  for (const [name, values] of Object.entries(lists)) {
    const not = lists[`not${name.charAt(0).toUpperCase()}${name.slice(1)}`];
    if (values === undefined || not === undefined) continue;
    if (values.every((value) => not.some((other) => valueCovers(name, other, value)))) return name;
  }
  return undefined;
}

function whenLists(rule: AuthorizationRule): Lists {
  const lists: Record<string, readonly string[]> = {};
  for (const { key, values, notValues } of rule.when ?? []) {
    if (values !== undefined) lists[key] = [...(lists[key] ?? []), ...values];
    if (notValues !== undefined) lists[`not ${key}`] = notValues;
  }
  return lists;
}

/** An absent list matches everything; each narrow alternative needs a wide one that covers it. */
function anyCovers(
  wide: readonly object[] | undefined,
  narrow: readonly object[] | undefined,
): boolean {
  if (wide === undefined || wide.length === 0) return true;
  if (narrow === undefined || narrow.length === 0) return false;
  return narrow.every((one) => wide.some((other) => listsCover(other as Lists, one as Lists)));
}

function listsCover(wide: Lists, narrow: Lists): boolean {
  return Object.entries(wide).every(([name, values]) => {
    const others = narrow[name];
    if (values === undefined) return true;
    if (others === undefined) return false;
    // A negation excludes less the fewer values it has.
    const [more, fewer] = /^not[A-Z ]/.test(name) ? [others, values] : [values, others];
    return fewer.every((value) => more.some((other) => valueCovers(name, other, value)));
  });
}

// Wildcards at one end, of fields where a star means that; elsewhere only equal texts are surely equal.
const WILD = /^(?:not)?(?:principals|methods|hosts|paths)$/i;

function valueCovers(name: string, wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (!WILD.test(name) || /[{}]/.test(wide + narrow)) return false;
  if (wide === '*') return true;
  if (narrow.startsWith('*')) return wide.startsWith('*') && narrow.endsWith(wide.slice(1));
  if (wide.startsWith('*')) return !narrow.endsWith('*') && narrow.endsWith(wide.slice(1));
  return wide.endsWith('*') && narrow.startsWith(wide.slice(0, -1));
}
