import type { Range } from './diagnostic.ts';
import { checkLabelKey, dnsLabel, dnsName, labelValue } from './names.ts';
import type { Node } from './node.ts';
import {
  type Context,
  defaulted,
  object,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
} from './schema.ts';

/** What every resource carries besides its spec. */
export type Metadata = {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** The namespace whose policies apply to every workload, and where the Mesh lives. */
export const ROOT_NAMESPACE = 'palisade-system';

/** How a kind wants its metadata: a fixed name and namespace, or a name fit for host names. */
export type MetadataRules = {
  readonly nameIsHost: boolean;
  readonly only?: { readonly name?: string; readonly namespace: string };
  /** The annotation that changes what a resource of this kind does. */
  readonly annotation?: string;
};

/** The schema of metadata under the rules of a kind. */
export function metadataReader(rules: MetadataRules): Reader<Metadata> {
  const { only } = rules;
  const name = rules.nameIsHost ? dnsLabel : dnsName;
  const fields = {
    name:
      only?.name === undefined
        ? required(name, 'write the name of the resource')
        : defaulted(name, () => only.name ?? ''),
    namespace: defaulted(dnsLabel, (context: Context) => only?.namespace ?? context.namespace),
    labels: optional(recordOf(checkLabelKey, labelValue)),
    annotations: optional(
      recordOf((key, at, context) => {
        checkLabelKey(key, at, context);
        checkMeaning(key, at, { known: rules.annotation, context });
      }, annotationValue),
    ),
  };
  return object('metadata', fields, (value, node, context) => {
    if (only === undefined) return;
    for (const key of ['name', 'namespace'] as const) {
      const found = node.entries.find((entry) => entry.key === key)?.value;
      const fixed = only[key];
      if (found === undefined || fixed === undefined || value[key] === undefined) continue;
      if (value[key] === fixed) continue;
      context.report.error(found.range, {
        code: 'bad_value',
        message: `the ${key} of this resource is always \`${fixed}\``,
        help: `remove the ${key}, or write \`${fixed}\``,
      });
    }
  });
}

const MEANINGFUL = /^(?:[a-z0-9-]+\.)*(?:istio\.io|palisade\.dev)\//;

/**
 * SECURITY: an annotation of Istio's or of ours may change what a resource does: one that says "only try it" and is not
 * understood, because it is mistyped or newer than this version, would leave the policy enforced. It is no note, so it is refused.
 */
function checkMeaning(
  key: string,
  at: Range,
  { known, context }: { readonly known: string | undefined; readonly context: Context },
): void {
  if (!MEANINGFUL.test(key) || key === known) return;
  context.report.error(at, {
    code: 'unknown_field',
    message: `${quote(key)} is no annotation of this kind`,
    help:
      known === undefined
        ? 'remove it: no annotation changes what a resource of this kind does'
        : `the one there is here is \`${known}\``,
  });
}

const MAX_ANNOTATION_LENGTH = 256 * 1024;

function annotationValue(node: Node, context: Context): string | undefined {
  if (
    node.kind === 'scalar' &&
    typeof node.value === 'string' &&
    node.value.length <= MAX_ANNOTATION_LENGTH
  ) {
    return node.value;
  }
  context.report.error(node.range, {
    code: 'wrong_type',
    message: 'an annotation is text of at most 256 KiB',
    help:
      node.kind === 'scalar'
        ? `put it in quotes: "${node.source.slice(0, 60)}"`
        : 'write text in quotes',
  });
  return undefined;
}
