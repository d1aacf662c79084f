import { createRoute, z } from '@hono/zod-openapi';
import { parseEnvelope } from '#trust';
import type { PointStatus } from '../enforcement.ts';
import { ApiProblem } from '../errors.ts';
import { type PolicyFinding, policyFindings } from '../policy-findings.ts';
import { parseJson } from '../policy-sets.ts';
import type { HistoryEntry, StoredCommit } from '../store.ts';
import type { Api, ApiContext } from './context.ts';
import {
  answers,
  Envelope,
  Instant,
  NamespacePath,
  PageQuery,
  pageFrom,
  pageOf,
  wholeNumber,
} from './schemas.ts';

const Signer = z.object({ keyId: z.string(), name: z.string().nullable() });

const CommitFacts = z.object({
  namespace: z.string(),
  number: z.int(),
  hash: z.string(),
  author: z.string(),
  time: Instant,
  expires: Instant,
  size: z.int(),
  message: z.string().nullable(),
  signers: z.array(Signer),
});

const PolicySetSummary = CommitFacts.extend({
  expired: z.boolean(),
  enforcement: z.object({ wanted: z.int(), enforced: z.int() }),
}).openapi('PolicySetSummary');

const PolicySetDetail = z
  .object({
    namespace: z.string(),
    head: Envelope.nullable(),
    hash: z.string().nullable(),
    number: z.int(),
    resources: z.record(z.string(), z.unknown()),
    sources: z.record(z.string(), z.string()),
    summary: PolicySetSummary.nullable(),
  })
  .openapi('PolicySetDetail');

const CommitEntry = CommitFacts.extend({
  parent: z.string().nullable(),
  root: z.string(),
  receivedAt: Instant,
  receivedFrom: z.string(),
  changes: z.array(z.object({ key: z.string(), change: z.enum(['added', 'changed', 'deleted']) })),
  envelope: Envelope,
}).openapi('CommitEntry');

const list = createRoute({
  method: 'get',
  path: '/policy-sets',
  summary: 'The head of each namespace',
  request: { query: PageQuery },
  responses: answers(pageOf(PolicySetSummary)),
});

const one = createRoute({
  method: 'get',
  path: '/policy-sets/{ns}',
  summary: 'A namespace whole: what the next commit is built on',
  request: {
    params: NamespacePath,
    query: z.object({ number: z.coerce.number().int().min(1).optional() }),
  },
  responses: answers(PolicySetDetail, ['not_found']),
});

const history = createRoute({
  method: 'get',
  path: '/policy-sets/{ns}/commits',
  summary: 'The commits of a namespace, newest first',
  request: { params: NamespacePath, query: PageQuery },
  responses: answers(pageOf(CommitEntry)),
});

const Finding = z
  .object({
    key: z.string(),
    line: z.int(),
    code: z.string(),
    message: z.string(),
    help: z.string(),
  })
  .openapi('PolicyFinding');

const findings = createRoute({
  method: 'get',
  path: '/policy-sets/{ns}/findings',
  summary:
    'What is wide, dead or doubtful in a namespace’s policies in force, by line of their sources',
  request: { params: NamespacePath, query: PageQuery },
  responses: answers(pageOf(Finding)),
});

/** GET /policy-sets, /policy-sets/:ns, /policy-sets/:ns/commits and /policy-sets/:ns/findings. */
export function addPolicySetRoutes(api: Api, context: ApiContext): void {
  const { store } = context;
  api.openapi(list, (c) => {
    const status = context.enforcement.status();
    const summaries = store.heads().map((head) => summaryOf(head, status, context));
    return c.json(pageFrom(summaries, c.req.valid('query')), 200);
  });
  api.openapi(one, (c) => {
    const { ns } = c.req.valid('param');
    const detail = detailOf(ns, c.req.valid('query').number, context);
    if (detail.hash !== null) c.header('etag', `"${detail.hash}"`);
    return c.json(detail, 200);
  });
  const findingsOf = createFindings(context);
  api.openapi(findings, (c) => {
    const { ns } = c.req.valid('param');
    const items = findingsOf(ns).map((finding) => ({ ...finding }));
    return c.json(pageFrom(items, c.req.valid('query')), 200);
  });
  api.openapi(history, (c) => {
    const { ns } = c.req.valid('param');
    const { limit = 50, cursor } = c.req.valid('query');
    const before = cursor === undefined ? undefined : wholeNumber(cursor, 'cursor');
    const commits = store.history(ns, { before, limit: limit + 1 });
    const items = commits.slice(0, limit).map((commit) => entryOf(commit, context));
    const next = commits.length > limit ? String(items.at(-1)?.number) : null;
    return c.json({ items, next }, 200);
  });
}

type FindingsOf = (namespace: string) => readonly PolicyFinding[];

// Texts are read anew only when something was committed: a console asks for the same again and again.
function createFindings({ store, resources, trustDomain }: ApiContext): FindingsOf {
  const known = new Map<
    string,
    { readonly heads: string; readonly found: readonly PolicyFinding[] }
  >();
  return (namespace) => {
    const heads = store.heads();
    const all = heads.map(({ hash }) => hash).join();
    const before = known.get(namespace);
    if (before?.heads === all) return before.found;
    const head = heads.find((commit) => commit.namespace === namespace);
    // SECURITY: whoever asks for names without end fills no memory.
    if (head === undefined) return [];
    const sources = store
      .resourcesAt(namespace, head.number)
      .flatMap(({ key, source }) => (source === null ? [] : [{ key, text: source }]));
    const live = [...resources.now().values()].flatMap((set) => set.resources);
    const found = policyFindings({ namespace, sources, live, trustDomain });
    known.set(namespace, { heads: all, found });
    return found;
  };
}

function detailOf(
  namespace: string,
  number: number | undefined,
  context: ApiContext,
): z.infer<typeof PolicySetDetail> {
  const { store } = context;
  const head = store.heads().find((commit) => commit.namespace === namespace);
  const commit = number === undefined ? head : store.commit(namespace, number);
  if (commit === undefined) {
    if (number !== undefined) {
      throw new ApiProblem('not_found', `\`${namespace}\` has no commit ${number}`);
    }
    return {
      namespace,
      head: null,
      hash: null,
      number: 0,
      resources: {},
      sources: {},
      summary: null,
    };
  }
  const resources = store.resourcesAt(namespace, commit.number);
  return {
    namespace,
    head: envelopeOf(commit),
    hash: commit.hash,
    number: commit.number,
    resources: Object.fromEntries(resources.map(({ key, resource }) => [key, parseJson(resource)])),
    sources: Object.fromEntries(
      resources.flatMap(({ key, source }) => (source === null ? [] : [[key, source]])),
    ),
    summary: summaryOf(commit, context.enforcement.status(), context),
  };
}

function summaryOf(
  commit: StoredCommit,
  status: readonly PointStatus[],
  context: ApiContext,
): z.infer<typeof PolicySetSummary> {
  const holders = status.flatMap((point) =>
    point.connected ? point.sets.filter((set) => set.namespace === commit.namespace) : [],
  );
  return {
    ...factsOf(commit, context),
    expired: Date.parse(commit.expires) <= context.clock(),
    enforcement: {
      wanted: holders.length,
      enforced: holders.filter((set) => set.enforced?.hash === commit.hash).length,
    },
  };
}

function entryOf(commit: HistoryEntry, context: ApiContext): z.infer<typeof CommitEntry> {
  const { parent, root, receivedAt, receivedFrom, changes } = commit;
  return {
    ...factsOf(commit, context),
    parent,
    root,
    receivedAt,
    receivedFrom,
    changes: changes.map(({ key, change }) => ({ key, change })),
    envelope: envelopeOf(commit),
  };
}

function factsOf(commit: StoredCommit, { trustRoot }: ApiContext): z.infer<typeof CommitFacts> {
  const { namespace, number, hash, author, time, expires, size, message } = commit;
  const names = new Map(trustRoot.root.policyKeys.map(({ keyId, name }) => [keyId, name]));
  const signers = envelopeOf(commit).signatures.map(({ keyid }) => ({
    keyId: keyid,
    name: names.get(keyid) ?? null,
  }));
  return { namespace, number, hash, author, time, expires, size, message, signers };
}

function envelopeOf({ envelope }: StoredCommit): z.infer<typeof Envelope> {
  const parsed = parseEnvelope(parseJson(envelope));
  // A row that somebody damaged still is listed; whoever verifies the empty envelope refuses it.
  if (!parsed.ok) return { payloadType: '', payload: '', signatures: [] };
  const { payloadType, payload, signatures } = parsed.value;
  return { payloadType, payload, signatures: [...signatures] };
}
