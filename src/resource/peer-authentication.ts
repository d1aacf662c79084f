import type { Range } from './diagnostic.ts';
import type { Metadata } from './metadata.ts';
import { entry, type MapNode } from './node.ts';
import {
  type Context,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
} from './schema.ts';
import { readSelector, type WorkloadSelector } from './selector.ts';

/** Whether callers must come with mutual TLS: for a namespace, some workloads, or single ports. */
export type PeerAuthenticationResource = {
  readonly apiVersion: 'security.istio.io/v1';
  readonly kind: 'PeerAuthentication';
  readonly metadata: Metadata;
  readonly spec: PeerAuthenticationSpec;
};

/** Istio's spec; the keys of `portLevelMtls` are port numbers. */
export type PeerAuthenticationSpec = {
  readonly selector?: WorkloadSelector;
  readonly mtls?: { readonly mode: MtlsMode };
  readonly portLevelMtls?: Readonly<Record<string, { readonly mode: MtlsMode }>>;
};

/** `UNSET` inherits from what is wider: the namespace, then the mesh. */
export type MtlsMode = 'UNSET' | 'STRICT' | 'PERMISSIVE' | 'DISABLE';

const mtls = object('mtls', {
  mode: required(
    oneOf(['UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE']),
    'write `mode: STRICT`, or remove the field to inherit',
  ),
});

const fields = {
  selector: optional(readSelector),
  mtls: optional(mtls),
  portLevelMtls: optional(recordOf(checkPort, mtls)),
};

/** Reads the spec of a PeerAuthentication. */
export const readPeerAuthenticationSpec: Reader<PeerAuthenticationSpec> = object(
  'a PeerAuthentication',
  fields,
  checkPortLevel,
);

function checkPort(key: string, at: Range, context: Context): void {
  if (/^[1-9]\d{0,4}$/.test(key) && Number(key) <= 65535) return;
  context.report.error(at, {
    code: 'bad_value',
    message: `${quote(key)} is not a port number`,
    help: "write the number of the workload's port, from 1 to 65535",
  });
}

function checkPortLevel(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const written = entry(node, 'portLevelMtls');
  if (written === undefined) return;
  if (written.value.kind === 'map' && written.value.entries.length === 0) {
    context.report.error(written.keyRange, {
      code: 'empty_value',
      message: '`portLevelMtls` is empty',
      help: 'name a port, or remove the field',
    });
  }
  if (Object.keys(value.selector?.matchLabels ?? {}).length > 0) return;
  context.report.error(written.keyRange, {
    code: 'missing_field',
    message: '`portLevelMtls` needs a `selector` that names workloads',
    help: 'add `selector: {matchLabels: {app: NAME}}`',
  });
}
