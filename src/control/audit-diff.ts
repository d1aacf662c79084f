import { stringify } from 'yaml';
import { diffText } from '#audit';
import type { PolicySet, TrustRoot } from '#trust';

const asYaml = (value: unknown): string =>
  stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

/** What a commit changes, or would have changed, of a namespace's resources. */
export function diffOfCommit(
  before: PolicySet['resources'] | undefined,
  changes: readonly { readonly key: string; readonly resource?: unknown }[],
): string {
  const changed = changes.map(({ key, resource }) => ({
    name: key,
    before: before?.get(key),
    after: resource ?? undefined,
  }));
  return diffText(changed, asYaml);
}

/** What a successor changes of the trust root. */
export function diffOfRoots(before: TrustRoot, after: TrustRoot): string {
  return diffText([{ name: 'trust root', before, after }], asYaml);
}
