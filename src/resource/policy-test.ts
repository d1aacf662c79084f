import type { Problem } from './diagnostic.ts';
import { type Metadata, metadataReader } from './metadata.ts';
import { child, type Node } from './node.ts';
import type { ReadOptions } from './read-resource.ts';
import {
  type Context,
  integer,
  listOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
  text,
} from './schema.ts';

/**
 * Cases that policies must get right, written beside them and read by `palisade test`. It is no
 * resource: nothing of it is signed, stored or enforced.
 */
export type PolicyTest = {
  readonly metadata: Metadata;
  readonly cases: readonly PolicyTestCase[];
};

/** One call and what must become of it. */
export type PolicyTestCase = {
  readonly name: string;
  /** `web`, `shop/web` or a SPIFFE ID; absent for a caller without identity. */
  readonly from?: string;
  readonly to: string;
  readonly request?: PolicyTestRequest;
  readonly port?: number;
  readonly sourceIp?: string;
  /** The caller's address before trusted proxies, and the address that was called. */
  readonly remoteIp?: string;
  readonly destinationIp?: string;
  /** How strongly the caller was attested. */
  readonly attestation?: string;
  readonly sni?: string;
  /** The called workload's, besides those its Service declares. */
  readonly labels?: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly at?: string;
  readonly expect: PolicyTestExpectation;
};

/** The HTTP request of a case; without one, the port's protocol says what is asked. */
export type PolicyTestRequest = {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  /** By name, several lines of one as a list. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The payload of the end user's token, taken as valid; without it there is no token. */
  readonly claims?: Readonly<Record<string, unknown>>;
};

/** What must come out; what is not named may be anything. `policy` is `NAME` or `NAMESPACE/NAME`. */
export type PolicyTestExpectation = {
  readonly verdict: 'allow' | 'deny';
  readonly policy?: string;
  readonly rule?: number;
  readonly reason?: string;
  /** Verdicts of policies in dry-run, by their names. */
  readonly dryRun?: Readonly<Record<string, 'allow' | 'deny'>>;
};

/** The kind's name in documents. */
export const POLICY_TEST_KIND = 'PolicyTest';

/** Whether a document says that it is a policy test, so that it is not read as a resource. */
export function isPolicyTest(root: Node): boolean {
  const kind = child(root, 'kind');
  return kind?.kind === 'scalar' && kind.value === POLICY_TEST_KIND;
}

/** Reads a policy test; undefined, and at least one error reported, if it is none. */
export function readPolicyTest(
  root: Node,
  report: Context['report'],
  options: ReadOptions,
): PolicyTest | undefined {
  const before = report.errorCount();
  const context: Context = {
    report,
    trustDomain: options.trustDomain,
    namespace: options.defaultNamespace,
    name: '',
  };
  const read = readDocument(root, context);
  if (read?.metadata === undefined || read.spec?.cases === undefined) return undefined;
  if (report.errorCount() > before) return undefined;
  return { metadata: read.metadata, cases: read.spec.cases };
}

const verdict = oneOf(['allow', 'deny']);
const anyText = text();
const freeKey = (): void => {
  // Whatever stands there is a name of the case's own: a header's, a label's, a policy's.
};

const lines = listOf(anyText, { maxItems: 64 });

function headerLines(node: Node, context: Context): string | readonly string[] | undefined {
  return node.kind === 'list' ? lines(node, context) : anyText(node, context);
}

/** Claims are any JSON; null has no meaning that a policy could read. */
function anyJson(node: Node): unknown {
  if (node.kind === 'scalar') return node.value ?? undefined;
  if (node.kind === 'list') return node.items.map(anyJson);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, anyJson(value)]));
}

const expectation = object('what is expected', {
  verdict: required(verdict, 'write `verdict: allow` or `verdict: deny`'),
  policy: optional(anyText),
  rule: optional(integer(0, 100_000)),
  reason: optional(anyText),
  dryRun: optional(recordOf(freeKey, verdict)),
});

/** `expect: deny` says the verdict alone. */
const readExpectation: Reader<PolicyTestExpectation> = (node, context) => {
  if (node.kind !== 'scalar') return expectation(node, context);
  const word = verdict(node, context);
  return word === undefined ? undefined : { verdict: word };
};

const request = object('a request', {
  method: optional(anyText),
  path: optional(anyText),
  host: optional(anyText),
  headers: optional(recordOf(freeKey, headerLines)),
  claims: optional(recordOf(freeKey, anyJson)),
});

const testCase: Reader<PolicyTestCase> = object('a case', {
  name: required(anyText, 'write `name: WHAT IS CHECKED`'),
  from: optional(anyText),
  to: required(anyText, 'write `to: SERVICE`'),
  request: optional(request),
  port: optional(integer(1, 65_535)),
  sourceIp: optional(anyText),
  remoteIp: optional(anyText),
  destinationIp: optional(anyText),
  attestation: optional(anyText),
  sni: optional(anyText),
  labels: optional(recordOf(freeKey, anyText)),
  at: optional(text(checkTime)),
  expect: required(readExpectation, 'write `expect: allow` or `expect: deny`'),
});

const readDocument = object(`a ${POLICY_TEST_KIND}`, {
  apiVersion: required(oneOf(['palisade.dev/v1']), 'write `apiVersion: palisade.dev/v1`'),
  kind: required(oneOf([POLICY_TEST_KIND]), `write \`kind: ${POLICY_TEST_KIND}\``),
  metadata: required(metadataReader({ nameIsHost: false }), 'write `metadata: {name: NAME}`'),
  spec: required(
    object('the spec', {
      cases: required(listOf(testCase), 'write the list `cases`'),
    }),
    'write `spec: {cases: [...]}`',
  ),
});

function checkTime(value: string): Problem | undefined {
  if (!Number.isNaN(Date.parse(value))) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a time`,
    help: 'write for example `2026-01-31T12:00:00Z`',
  };
}
