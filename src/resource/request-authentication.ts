import { duration } from './duration-field.ts';
import { checkJwks, checkJwksUri } from './jwks-fields.ts';
import type { Metadata } from './metadata.ts';
import { entry, type MapNode } from './node.ts';
import {
  type Context,
  flag,
  listOf,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';
import { readSelector, type WorkloadSelector } from './selector.ts';
import { readTargetRef, type TargetRef } from './target-ref.ts';

/** Which tokens of end users are valid, in Istio's form and meaning; whether one is needed, policies say. */
export type RequestAuthenticationResource = {
  readonly apiVersion: 'security.istio.io/v1';
  readonly kind: 'RequestAuthentication';
  readonly metadata: Metadata;
  readonly spec: RequestAuthenticationSpec;
};

/** Without selector and target, every workload of the namespace. */
export type RequestAuthenticationSpec = {
  readonly selector?: WorkloadSelector;
  readonly targetRefs?: readonly TargetRef[];
  readonly jwtRules?: readonly JwtRule[];
};

/** One issuer. Keys are in `jwks` or at `jwksUri`; the last three fields are Palisade's own. */
export type JwtRule = {
  readonly issuer: string;
  readonly audiences?: readonly string[];
  readonly jwksUri?: string;
  readonly jwks?: string;
  readonly fromHeaders?: readonly { readonly name: string; readonly prefix?: string }[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[];
  readonly forwardOriginalToken?: boolean;
  readonly spaceDelimitedClaims?: readonly string[];
  readonly timeout?: string;
  readonly clockSkew?: string;
  readonly dpop?: 'OFF' | 'REQUIRED';
  readonly certificateBound?: boolean;
};

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/;
// What frames the message or speaks for a sidecar is nobody's to write or to carry a token.
const RESERVED =
  /^(?:host|connection|content-length|transfer-encoding|te|upgrade|keep-alive|proxy-.*|x-palisade-.*|x-forwarded-client-cert|traceparent)$/i;

const headerName = text((value) =>
  HEADER_NAME.test(value) && !RESERVED.test(value)
    ? undefined
    : {
        code: 'bad_value',
        message: `${quote(value)} is not a header that can be used here`,
        help: 'write a name such as `x-jwt-assertion`; headers of the connection and of sidecars are reserved',
      },
);

const name = listOf(text(), { maxItems: 64 });

const jwtRule = object(
  'a JWT rule',
  {
    issuer: required(text(), 'write the `iss` of the tokens, for example `https://id.example.com`'),
    audiences: optional(listOf(text(), { maxItems: 256, mayBeEmpty: true })),
    jwksUri: optional(text(checkJwksUri)),
    jwks_uri: optional(text(checkJwksUri)),
    jwks: optional(text(checkJwks)),
    fromHeaders: optional(
      listOf(
        object('an item of `fromHeaders`', {
          name: required(headerName, 'write `name: HEADER`'),
          prefix: optional(text()),
        }),
        { maxItems: 64 },
      ),
    ),
    fromParams: optional(name),
    fromCookies: optional(name),
    outputPayloadToHeader: optional(headerName),
    outputClaimToHeaders: optional(
      listOf(
        object('an item of `outputClaimToHeaders`', {
          header: required(headerName, 'write `header: NAME`'),
          claim: required(text(), 'write `claim: NAME`'),
        }),
        { maxItems: 64 },
      ),
    ),
    forwardOriginalToken: optional(flag),
    spaceDelimitedClaims: optional(listOf(text(), { maxItems: 64, mayBeEmpty: true })),
    timeout: optional(duration(1, 60_000)),
    clockSkew: optional(duration(0, 600_000)),
    dpop: optional(oneOf(['OFF', 'REQUIRED'])),
    certificateBound: optional(flag),
  },
  checkKeys,
);

/** `jwks_uri` is the same as `jwksUri`, as in Istio. */
const readJwtRule: Reader<JwtRule> = (node, context) => {
  const rule = jwtRule(node, context);
  if (rule === undefined) return undefined;
  const { jwks_uri: alias, ...rest } = rule;
  return alias === undefined ? rest : { ...rest, jwksUri: alias };
};

const fields = {
  selector: optional(readSelector),
  targetRefs: optional(listOf(readTargetRef, { maxItems: 16 })),
  jwtRules: optional(listOf(readJwtRule, { maxItems: 64, mayBeEmpty: true })),
};

/** Reads the spec of a RequestAuthentication. */
export const readRequestAuthenticationSpec: Reader<RequestAuthenticationSpec> = object(
  'a RequestAuthentication',
  fields,
  (_value: Partial<ObjectOf<typeof fields>>, node: MapNode, context: Context) => {
    const targets = entry(node, 'targetRefs');
    if (targets === undefined || entry(node, 'selector') === undefined) return;
    context.report.error(targets.keyRange, {
      code: 'conflicting_fields',
      message: '`targetRefs` and `selector` exclude each other',
      help: 'keep the one that says which workloads are meant',
    });
  },
);

function checkKeys(
  _value: Readonly<Record<string, unknown>>,
  node: MapNode,
  context: Context,
): void {
  const written = ['jwks', 'jwksUri', 'jwks_uri'].flatMap((key) => entry(node, key) ?? []);
  const [first, second] = written;
  if (second !== undefined) {
    context.report.error(second.keyRange, {
      code: 'conflicting_fields',
      message: `\`${first?.key}\` and \`${second.key}\` exclude each other`,
      help: 'keep the one that says where the keys are',
    });
  }
  if (first !== undefined) return;
  context.report.error(node.entries[0]?.keyRange ?? node.range, {
    code: 'missing_field',
    message: 'a JWT rule lacks the keys of its issuer',
    help: 'write `jwksUri`, the address of the keys, or `jwks`, the keys themselves; they are not looked up by the issuer, since nobody signed what an issuer says about itself',
  });
}
