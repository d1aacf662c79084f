import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { RecordsTooSlow } from '#record-store';
import { EVENT, type Log } from '#telemetry';
import { API_ERRORS, ApiProblem } from '../errors.ts';
import { addAlertRoutes } from './alerts.ts';
import { addAuditRoutes } from './audit.ts';
import { createAudited } from './audited.ts';
import { addAuthorityRoutes } from './authority.ts';
import { addChangedCallsRoute } from './changed-calls.ts';
import { addCheckRoute } from './check.ts';
import { addCommitRoute } from './commits.ts';
import { addCompletenessRoute } from './completeness.ts';
import type { Api, ApiContext, ApiEnv, Session } from './context.ts';
import { addDenialRoutes } from './denials.ts';
import { addDryRunRoute } from './dry-run.ts';
import { addEnforcementRoute } from './enforcement.ts';
import { addEventRoute } from './events.ts';
import { addHorizonRoutes } from './horizon.ts';
import { addIdentityRoute } from './identities.ts';
import { addIssuanceLogRoute } from './issuance-log.ts';
import { addLinkRoute } from './links.ts';
import { addMapRoute } from './map.ts';
import { addMeshRoutes } from './mesh.ts';
import { addOverviewRoute } from './overview.ts';
import { addPlaintextRoute } from './plaintext.ts';
import { addPolicySetRoutes } from './policy-sets.ts';
import { addPostureRoute } from './posture.ts';
import { addRecordRoutes } from './records.ts';
import { addResourceRoutes } from './resources.ts';
import { addRevocationPreviewRoute } from './revocation-preview.ts';
import { addRevocationRoutes } from './revocations.ts';
import { addRollupRoute } from './rollups.ts';
import { addSinkRoutes } from './sinks.ts';
import { addSloRoute } from './slos.ts';
import type { SseStreams } from './sse.ts';
import { addTestRoute } from './test.ts';
import { addTraceRoute } from './traces.ts';

/** Says who sent a request; undefined: nobody who may know anything. */
export type Authenticate = (c: Context<ApiEnv>) => Session | undefined;

// Renewal begins at half life: what is so close is not being renewed.
const EXPIRY_MARGIN_MS = 60_000;
const MAX_BODY_BYTES = 16 * 1024 * 1024;
// Asks a question and changes nothing, so a session that only reads may.
const READING_POSTS = /^\/api\/v1\/(check|test|sinks\/[^/]+\/test)$/;

/** The application of one listener: health for everybody, all else for whom `authenticate` knows. */
export function createApi(
  context: ApiContext,
  streams: SseStreams,
  authenticate: Authenticate,
): Api {
  const root: Api = createHono();
  root.onError((error, c) => answerError(error, c, context.log));
  root.use(countRequests(context));
  root.use(securityHeaders);
  addHealth(root, context);
  const guard = createGuard(authenticate);
  const audited = createAudited(context, isWrite);
  root.use('/api/*', audited, guard, limitBody, requireJson);
  root.use('/metrics', guard);
  root.get('/metrics', async (c) => {
    const { contentType, body } = await context.metrics(
      (c.req.header('accept') ?? '').includes('application/openmetrics-text'),
    );
    return c.body(body, 200, { 'content-type': contentType });
  });
  const api = createRoutes(context, streams);
  root.route('/api/v1', api);
  root.get('/api/openapi.json', (c) => c.json(api.getOpenAPI31Document(documentInfo(context))));
  root.all('/api/*', (c) => {
    throw unknownRoute(c, api.routes);
  });
  return root;
}

/** Headers of every answer. SECURITY: nothing of ours is framed, sniffed, or named to other sites. */
export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  const { headers } = c.res;
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'no-referrer');
  headers.set('x-frame-options', 'DENY');
  headers.set('cross-origin-opener-policy', 'same-origin');
  headers.set('cross-origin-resource-policy', 'same-origin');
  headers.set(
    'content-security-policy',
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
  );
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
};

function countRequests({ countAnswer }: ApiContext): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = performance.now();
    await next();
    const isStream = c.res.headers.get('content-type')?.startsWith('text/event-stream') === true;
    countAnswer(c.res.status, isStream ? undefined : performance.now() - startedAt);
  };
}

function createHono(): Api {
  return new OpenAPIHono<ApiEnv>({
    defaultHook(result) {
      if (result.success) return;
      const [issue] = result.error.issues;
      const path = issue?.path.join('.') ?? '';
      throw new ApiProblem(
        'bad_request',
        `${path === '' ? result.target : `\`${path}\``}: ${issue?.message ?? 'not as documented'}`,
      );
    },
  });
}

function createRoutes(context: ApiContext, streams: SseStreams): Api {
  const api = createHono();
  addMeshRoutes(api, context);
  addHorizonRoutes(api, context);
  addPolicySetRoutes(api, context);
  addChangedCallsRoute(api, context);
  addCommitRoute(api, context);
  addResourceRoutes(api, context);
  addEnforcementRoute(api, context);
  addIdentityRoute(api, context);
  addRevocationRoutes(api, context);
  addRevocationPreviewRoute(api, context);
  addAuthorityRoutes(api, context);
  addIssuanceLogRoute(api, context);
  addRecordRoutes(api, context, streams);
  addTraceRoute(api, context);
  addRollupRoute(api, context);
  addCompletenessRoute(api, context);
  addMapRoute(api, context);
  addDenialRoutes(api, context);
  addDryRunRoute(api, context);
  addPlaintextRoute(api, context);
  addCheckRoute(api, context);
  addTestRoute(api, context);
  addSinkRoutes(api, context);
  addOverviewRoute(api, context);
  addAlertRoutes(api, context);
  addSloRoute(api, context);
  addPostureRoute(api, context);
  addAuditRoutes(api, context);
  addEventRoute(api, context, streams);
  addLinkRoute(api, context);
  api.doc31('/openapi.json', documentInfo(context));
  return api;
}

function documentInfo(context: ApiContext) {
  const { version } = context.facts();
  const info = { title: 'Palisade control plane', version };
  return { openapi: '3.1.0', info, servers: [{ url: '/api/v1' }] };
}

function addHealth(root: Api, context: ApiContext): void {
  root.get('/healthz/live', (c) => c.text('live\n'));
  root.get('/healthz/ready', (c) => {
    const { expiresAt } = context.facts().identity();
    if (context.clock() < expiresAt - EXPIRY_MARGIN_MS) return c.text('ready\n');
    return c.text("not ready: the control plane's certificate runs out, unrenewed\n", 503);
  });
}

function unknownRoute(
  { req }: Context<ApiEnv>,
  routes: readonly { readonly method: string; readonly path: string }[],
): ApiProblem {
  const path = req.path.slice('/api/v1'.length).split('/');
  const allowed = routes
    .filter(({ method, path: known }) => {
      const parts = known.split('/');
      const fits =
        parts.length === path.length &&
        parts.every((part, i) => part.startsWith(':') || part === path[i]);
      return method !== 'ALL' && fits;
    })
    .map(({ method }) => method);
  const shown = `${req.method} ${req.path.slice(0, 200)}`;
  if (allowed.length === 0) return new ApiProblem('not_found', `there is no \`${shown}\``);
  const methods = [...new Set(allowed)];
  return new ApiProblem('method_not_allowed', `\`${shown}\`: only ${methods.join(', ')}`, {
    allowed: methods,
  });
}

function isWrite({ req }: Context<ApiEnv>): boolean {
  return !['GET', 'HEAD'].includes(req.method) && !READING_POSTS.test(req.path);
}

function createGuard(authenticate: Authenticate): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const session = authenticate(c);
    if (session === undefined) {
      throw new ApiProblem(
        'unauthenticated',
        'sign in: by an admin certificate, or on the console by its link',
      );
    }
    // First of all: who is refused is on record by name.
    c.set('session', session);
    if (session.readOnly && isWrite(c)) {
      throw new ApiProblem(
        'read_only',
        'this session reads; changes are signed and handed in with the CLI',
      );
    }
    await next();
  };
}

// SECURITY: a length that is known before the body makes the limit one comparison; Node.js holds the body to it.
const limitBody: MiddlewareHandler = async (c, next) => {
  if (c.req.header('transfer-encoding') !== undefined) {
    throw new ApiProblem('bad_request', 'say how long the body is, by Content-Length');
  }
  if (Number(c.req.header('content-length') ?? 0) > MAX_BODY_BYTES) {
    throw new ApiProblem('too_large', `a body has at most ${MAX_BODY_BYTES / 1024 / 1024} MiB`);
  }
  await next();
};

const requireJson: MiddlewareHandler = async (c, next) => {
  const hasBody = Number(c.req.header('content-length') ?? 0) > 0;
  if (hasBody && !/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw new ApiProblem('unsupported_media_type', 'send `content-type: application/json`');
  }
  await next();
};

/** The problem document for whatever a request ended in. */
export function answerError(error: Error, c: Context<ApiEnv>, log: Log): Response {
  if (error instanceof ApiProblem) return problemDocument(error, c);
  // hono's own complaint about a body that is not JSON.
  if ('status' in error && error.status === 400) {
    return problemDocument(new ApiProblem('bad_request', 'the body is not JSON'), c);
  }
  log.error(EVENT.requestFailed, { method: c.req.method, path: c.req.path, error });
  if (error instanceof RecordsTooSlow) {
    return problemDocument(new ApiProblem('unavailable', error.message), c);
  }
  return problemDocument(new ApiProblem('internal', 'the request failed'), c);
}

function problemDocument({ code, message, members }: ApiProblem, c: Context<ApiEnv>): Response {
  const { status, title } = API_ERRORS[code];
  const document = { type: 'about:blank', title, status, code, detail: message, ...members };
  return c.body(JSON.stringify(document), status as ContentfulStatusCode, {
    'content-type': 'application/problem+json',
  });
}
