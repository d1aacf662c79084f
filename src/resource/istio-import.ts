import type { Diagnostic, Report } from './diagnostic.ts';
import { serviceFromKubernetes } from './kubernetes-service.ts';
import { ROOT_NAMESPACE } from './metadata.ts';
import { child, MAX_DEPTH, type MapNode, type Node, nodeFromJson } from './node.ts';
import { readResource } from './read-resource.ts';
import { readYaml } from './read-yaml.ts';
import type { Resource } from './resource.ts';
import { bySourceOrder, createReport, createSource } from './source.ts';

/** What is known of the mesh that the resources come from. */
export type ImportOptions = {
  readonly defaultNamespace: string;
  /** Istio's root namespace; its policies move to ours. */
  readonly istioRootNamespace: string;
};

/** A resource as we would have it, and where it came from. */
export type ImportedResource = {
  readonly resource: Resource;
  readonly file: string;
  readonly line: number;
  /** The label `app` that a Kubernetes Service selects, which may not be its name. */
  readonly app: string | undefined;
};

/** What an import found; nothing is applied. */
export type IstioImport = {
  readonly resources: readonly ImportedResource[];
  /** Why resources cannot be imported, and what in others never does what its author meant. */
  readonly diagnostics: readonly Diagnostic[];
  /** How many resources of each kind are not security policy, by `apiVersion/kind`. */
  readonly skipped: Readonly<Record<string, number>>;
};

// `kubectl get -o yaml` puts everything into one document.
const DUMP_LIMITS = { maxLength: 4 * 1024 * 1024, maxParts: 400_000 };
const SECURITY_KINDS = new Set([
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
]);

/** Reads what `kubectl get -o yaml` or an Istio folder holds; never throws. */
export function importIstio(
  files: readonly { readonly file: string; readonly text: string }[],
  options: ImportOptions,
): IstioImport {
  const resources: ImportedResource[] = [];
  const diagnostics: Diagnostic[] = [];
  const skipped = new Map<string, number>();
  for (const { file, text } of files) {
    const source = createSource(file, text);
    const own: Diagnostic[] = [];
    const report = createReport(source, own);
    for (const { root } of readYaml(source, report, DUMP_LIMITS)) {
      for (const item of itemsOf(root)) {
        const read = importOne(item, report, options);
        if (read.kind === 'skip') skipped.set(read.what, (skipped.get(read.what) ?? 0) + 1);
        if (read.kind !== 'import') continue;
        const app = textOf(child(child(child(item, 'spec'), 'selector'), 'app'));
        const { line } = source.span(item.range);
        resources.push({ resource: read.resource, file, line, app });
      }
    }
    diagnostics.push(...own.sort(bySourceOrder));
  }
  return { resources, diagnostics, skipped: Object.fromEntries(skipped) };
}

type Imported =
  | { readonly kind: 'import'; readonly resource: Resource }
  | { readonly kind: 'skip'; readonly what: string }
  | { readonly kind: 'refuse' };

function itemsOf(root: Node): readonly Node[] {
  const kind = textOf(child(root, 'kind'));
  const list = child(root, 'items');
  return kind?.endsWith('List') === true && list?.kind === 'list' ? list.items : [root];
}

function importOne(root: Node, report: Report, options: ImportOptions): Imported {
  const kind = textOf(child(root, 'kind')) ?? 'unknown';
  const apiVersion = textOf(child(root, 'apiVersion')) ?? 'unknown';
  const isSecurity = SECURITY_KINDS.has(kind) && apiVersion.startsWith('security.istio.io/');
  const isService = kind === 'Service' && apiVersion === 'v1';
  if (root.kind !== 'map' || (!isSecurity && !isService)) {
    return { kind: 'skip', what: `${apiVersion}/${kind}` };
  }
  const node = isService ? serviceNode(root) : cleaned(root, options);
  if (node === undefined) return { kind: 'skip', what: `${apiVersion}/${kind} without a selector` };
  const resource = readResource(node, report, { defaultNamespace: options.defaultNamespace });
  return resource === undefined ? { kind: 'refuse' } : { kind: 'import', resource };
}

function serviceNode(root: MapNode): Node | undefined {
  const value = serviceFromKubernetes(root);
  return value === undefined ? undefined : nodeFromJson(value, MAX_DEPTH);
}

const KEPT_METADATA = new Set(['name', 'namespace', 'labels', 'annotations']);
const CLUSTER_ANNOTATION =
  /^(?:kubectl\.kubernetes\.io|meta\.helm\.sh|deployment\.kubernetes\.io)\//;

/** Without what a cluster writes by itself, and in our root namespace where it was in Istio's. */
function cleaned(root: MapNode, { istioRootNamespace }: ImportOptions): MapNode {
  const entries = root.entries
    .filter(({ key }) => key !== 'status')
    .map((one) => (one.key === 'metadata' ? { ...one, value: cleanMetadata(one.value) } : one));
  return { ...root, entries };

  function cleanMetadata(metadata: Node): Node {
    if (metadata.kind !== 'map') return metadata;
    const kept = metadata.entries.filter(({ key }) => KEPT_METADATA.has(key));
    return {
      ...metadata,
      entries: kept.map((one) => {
        if (one.key === 'annotations') return { ...one, value: ownAnnotations(one.value) };
        const { value } = one;
        if (one.key !== 'namespace' || textOf(value) !== istioRootNamespace) return one;
        if (value.kind !== 'scalar') return one;
        return { ...one, value: { ...value, value: ROOT_NAMESPACE, source: ROOT_NAMESPACE } };
      }),
    };
  }
}

function ownAnnotations(annotations: Node): Node {
  if (annotations.kind !== 'map') return annotations;
  const entries = annotations.entries.filter(({ key }) => !CLUSTER_ANNOTATION.test(key));
  return { ...annotations, entries };
}

function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined;
}
