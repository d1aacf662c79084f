import { dnsLabel } from './names.ts';
import { headOf, type Node } from './node.ts';
import { type Context, object, oneOf, optional, quote, type Reader, required } from './schema.ts';

/** A Service of the policy's own namespace. */
export type TargetRef = { readonly kind: 'Service'; readonly name: string };

const targetRef = object('a target', {
  kind: required(
    oneOf(['Service'], (word) => ({
      code: 'unsupported',
      message: `a target of the kind ${quote(word)} is not supported by this version`,
      help: 'name a Service, or select workloads with `selector`',
    })),
    'write `kind: Service`',
  ),
  name: required(dnsLabel, 'write the name of a Service of this namespace'),
  group: optional(readGroup),
  namespace: optional(readOwnNamespace),
});

/** Reads what a policy is for by name instead of labels. */
export const readTargetRef: Reader<TargetRef> = (node, context) => {
  const target = targetRef(node, context);
  return target?.name === undefined ? undefined : { kind: 'Service', name: target.name };
};

/** Kubernetes' group of Service is the empty one, also written `core`. */
function readGroup(node: Node, context: Context): string | undefined {
  if (node.kind === 'scalar' && (node.value === '' || node.value === 'core')) return '';
  context.report.error(headOf(node), {
    code: 'bad_value',
    message: 'the group of a Service is empty',
    help: 'remove `group`',
  });
  return undefined;
}

function readOwnNamespace(node: Node, context: Context): string | undefined {
  if (node.kind === 'scalar' && node.value === context.namespace) return context.namespace;
  context.report.error(headOf(node), {
    code: 'foreign_namespace',
    message: 'a target lies in the namespace of its policy',
    help: `remove \`namespace\`, or put the policy into that namespace; here it is \`${context.namespace}\``,
  });
  return undefined;
}
