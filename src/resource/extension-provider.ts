import type { Problem, Range } from './diagnostic.ts';
import { duration } from './duration-field.ts';
import { entry, type MapNode } from './node.ts';
import {
  boolean,
  type Context,
  defaulted,
  integer,
  listOf,
  type ObjectOf,
  object,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
  text,
  unsupported,
} from './schema.ts';

/** Whom `CUSTOM` policies ask, in the form of Istio's MeshConfig: exactly one of the two protocols. */
export type ExtensionProvider = {
  readonly name: string;
  readonly envoyExtAuthzHttp?: ExtAuthzHttp;
  readonly envoyExtAuthzGrpc?: ExtAuthzGrpc;
};

/** A provider that speaks Envoy's ext_authz over gRPC. */
export type ExtAuthzGrpc = {
  /** A service of the mesh by its host name, or `127.0.0.1`. */
  readonly service: string;
  readonly port: number;
  /** A duration: what it does not say in that time it did not say. */
  readonly timeout: string;
  /** Lets calls through that the provider did not answer. */
  readonly failOpen: boolean;
};

/** A provider that answers 200 to a copy of the request's head where the call may pass. */
export type ExtAuthzHttp = ExtAuthzGrpc & {
  /** Put before the path that the provider is asked with. */
  readonly pathPrefix?: string;
  /** Headers of the request that the provider sees, besides `authorization`. */
  readonly includeRequestHeadersInCheck?: readonly string[];
  /** Headers that every question to the provider carries. */
  readonly includeAdditionalHeadersInCheck?: Readonly<Record<string, string>>;
};

const noRewriting = unsupported(
  'a provider says yes or no here; it does not write headers of requests and answers',
);
const noBody = unsupported('providers see the head of a request, never its body');

const common = {
  service: required(text(), 'write the host name of a service, e.g. `opa.policy`'),
  port: required(integer(1, 65_535), 'write the port of the service'),
  timeout: defaulted(duration(1, 30_000), () => '1s'),
  failOpen: defaulted(boolean, () => false),
  statusOnError: unsupported('a call that nobody could judge is answered with 403 `cannot_decide`'),
  includeRequestBodyInCheck: noBody,
};

const grpc: Reader<ExtAuthzGrpc> = object('envoyExtAuthzGrpc', common, warnOfFailOpen);

const http: Reader<ExtAuthzHttp> = object(
  'envoyExtAuthzHttp',
  {
    ...common,
    pathPrefix: optional(text(checkPrefix)),
    includeRequestHeadersInCheck: optional(listOf(text(checkHeader), { maxItems: 64 })),
    includeAdditionalHeadersInCheck: optional(recordOf(checkName, text(checkValue), 64)),
    includeHeadersInCheck: unsupported('write `includeRequestHeadersInCheck`'),
    headersToUpstreamOnAllow: noRewriting,
    headersToDownstreamOnAllow: noRewriting,
    headersToDownstreamOnDeny: noRewriting,
  },
  warnOfFailOpen,
);

const fields = {
  name: required(text(), 'write the name by which `CUSTOM` policies mean it'),
  envoyExtAuthzHttp: optional(http),
  envoyExtAuthzGrpc: optional(grpc),
};

/** Reads one of `extensionProviders`. */
export const readExtensionProvider: Reader<ExtensionProvider> = object(
  'an extension provider',
  fields,
  (value: Partial<ObjectOf<typeof fields>>, node: MapNode, context: Context) => {
    const written = [value.envoyExtAuthzHttp, value.envoyExtAuthzGrpc].filter(Boolean).length;
    if (written === 1) return;
    context.report.error(node.range, {
      code: written === 0 ? 'missing_field' : 'conflicting_fields',
      message: 'a provider speaks one protocol',
      help: 'write either `envoyExtAuthzHttp` or `envoyExtAuthzGrpc`',
    });
  },
);

function warnOfFailOpen(
  value: { readonly failOpen?: boolean | undefined },
  node: MapNode,
  context: Context,
): void {
  const written = entry(node, 'failOpen');
  if (value.failOpen !== true || written === undefined) return;
  context.report.warn(written.keyRange, {
    code: 'fails_open',
    message: 'whoever can keep the provider from answering is let through',
    help: 'remove `failOpen`, unless being reachable matters more here than being safe',
  });
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

function checkHeader(value: string): Problem | undefined {
  if (TOKEN.test(value)) return undefined;
  const help = 'write a name like `x-tenant`';
  return { code: 'bad_value', message: `${quote(value)} is not the name of a header`, help };
}

function checkName(key: string, at: Range, context: Context): void {
  const problem = checkHeader(key);
  if (problem !== undefined) context.report.error(at, problem);
}

function checkValue(value: string): Problem | undefined {
  if (/^[\t -~]*$/.test(value)) return undefined;
  const help = 'printable ASCII only';
  return { code: 'bad_value', message: `${quote(value)} cannot be sent in a header`, help };
}

function checkPrefix(value: string): Problem | undefined {
  if (/^\/[!-~]*$/.test(value) && !/[?#]/.test(value)) return undefined;
  const help = 'write for example `/authorize`';
  return { code: 'bad_value', message: `${quote(value)} is no beginning of a path`, help };
}
