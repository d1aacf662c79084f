import { child, items, type MapNode, type Node } from './node.ts';

/**
 * A Kubernetes Service as our Service; undefined where it selects no workload, since then nobody can
 * say who serves it. The protocol is Istio's choice: `appProtocol`, else the port's name up to a dash.
 */
export function serviceFromKubernetes(root: MapNode): Record<string, unknown> | undefined {
  const spec = child(root, 'spec');
  const metadata = child(root, 'metadata');
  const selector = child(spec, 'selector');
  if (selector?.kind !== 'map' || selector.entries.length === 0) return undefined;
  const labels = Object.fromEntries(
    selector.entries.flatMap(({ key, value }) =>
      // Here `app` is the Service's own name; the import says where that differs.
      value.kind === 'scalar' && key !== 'app' ? [[key, value.value]] : [],
    ),
  );
  const ports = items(child(spec, 'ports')).map((port) => {
    const targetPort = scalar(child(port, 'targetPort'));
    const number = scalar(child(port, 'port'));
    const name = scalar(child(port, 'name'));
    return {
      ...(name === undefined ? {} : { name }),
      port: number,
      protocol: protocolOf(port),
      // A target by name is known to the workload alone.
      ...(typeof targetPort === 'number' && targetPort !== number ? { targetPort } : {}),
    };
  });
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Service',
    metadata: {
      name: scalar(child(metadata, 'name')),
      namespace: scalar(child(metadata, 'namespace')),
    },
    spec: { ports, labels },
  };
}

// As Istio selects protocols: by `appProtocol`, else by the port's name up to its first dash.
const PROTOCOLS: ReadonlyMap<string, 'http' | 'http2' | 'grpc'> = new Map([
  ['http', 'http'],
  ['grpc-web', 'http'],
  ['http2', 'http2'],
  ['kubernetes.io/h2c', 'http2'],
  ['grpc', 'grpc'],
]);

function protocolOf(port: Node): 'http' | 'http2' | 'grpc' | 'tcp' {
  const name = scalar(child(port, 'appProtocol')) ?? scalar(child(port, 'name'));
  const word = String(name ?? '').toLowerCase();
  return PROTOCOLS.get(word) ?? PROTOCOLS.get(word.split('-')[0] ?? '') ?? 'tcp';
}

function scalar(node: Node | undefined): string | number | undefined {
  if (node?.kind !== 'scalar') return undefined;
  return typeof node.value === 'string' || typeof node.value === 'number' ? node.value : undefined;
}
