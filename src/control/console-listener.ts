import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { EVENT } from '#telemetry';
import { createAllowance } from './allowance.ts';
import { type Authenticate, answerError, securityHeaders } from './api/app.ts';
import { addressOf } from './api/audited.ts';
import type { Api, ApiContext, ApiEnv, Session } from './api/context.ts';
import { HTTP_LIMITS, type Listener, type ListenOptions, listen } from './api-listener.ts';
import type { ConsoleAssets } from './console-assets.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import { ApiProblem } from './errors.ts';

/** What the console's listener serves. */
export type ConsoleOptions = ListenOptions & {
  readonly context: ApiContext;
  /** The API as the console's sessions may use it. */
  readonly createApi: (authenticate: Authenticate) => Api;
  readonly assets: ConsoleAssets | undefined;
};

const COOKIE = 'palisade_console';
// SECURITY: whoever tries links must not fill the disk with it.
const STRANGERS_PER_MINUTE = 30;
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/**
 * Serves the console in plain HTTP. Throws unless `host` is loopback. SECURITY: cookies know no ports, so another
 * program on this host that the same browser visits may see ours; it opens nothing but reading.
 */
export async function listenConsole(options: ConsoleOptions): Promise<Listener> {
  if (!LOOPBACK.has(options.host)) {
    throw new Error(`the console speaks plain HTTP on loopback only, not on \`${options.host}\``);
  }
  const { context } = options;
  let port = options.port;
  const app = new Hono<ApiEnv>();
  app.onError((error, c) => answerError(error, c, context.log));
  app.use(securityHeaders);
  app.use(checkOrigin(() => port));
  addSessionRoutes(app, context);
  app.route(
    '/',
    options.createApi((c) => consoleSession(c, context.sessions)),
  );
  app.get('*', (c) => serveAsset(c, options.assets));
  const server = createServer(
    HTTP_LIMITS,
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  const listener = await listen(server, options);
  port = listener.port;
  return listener;
}

// SECURITY: a page elsewhere can make a browser come here (DNS rebinding, forms, scripts): such a request names
// another host, another origin, or says that it is cross-site.
function checkOrigin(port: () => number): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const hosts = [`127.0.0.1:${port()}`, `localhost:${port()}`, `[::1]:${port()}`];
    const host = c.req.header('host') ?? '';
    if (!hosts.includes(host)) {
      throw new ApiProblem('host_refused', 'the console is served as 127.0.0.1 and localhost only');
    }
    const reads = c.req.method === 'GET' || c.req.method === 'HEAD';
    const foreignWrite = !reads && c.req.header('origin') !== `http://${host}`;
    const site = c.req.header('sec-fetch-site') ?? 'none';
    const foreignRead = c.req.path.startsWith('/api/') && !['same-origin', 'none'].includes(site);
    if (foreignWrite || foreignRead) {
      throw new ApiProblem('origin_refused', 'the request was made by a page of another site');
    }
    await next();
  };
}

function addSessionRoutes(app: Hono<ApiEnv>, { sessions, audit, clock, log }: ApiContext): void {
  const strangers = createAllowance(clock, STRANGERS_PER_MINUTE);
  const note = (c: Context<ApiEnv>, action: string, reason?: string) =>
    audit.append({
      action,
      'actor.id': 'console',
      'actor.ip': addressOf(c),
      'target.kind': 'Console',
      result: reason === undefined ? 'ok' : 'refused',
      reason: reason ?? '',
    });

  app.get('/sign-in', async (c) => {
    // A link that something fetches ahead to look at must still work for the person.
    if (c.req.method !== 'GET') return c.body(null, 204);
    const session = sessions.signIn(c.req.query('token') ?? '');
    if (session === undefined) {
      if (strangers.take())
        await note(c, 'admin.sign_in', 'the link is spent').catch(() => undefined);
      return c.html(SPENT_LINK, 403);
    }
    try {
      await note(c, 'admin.sign_in');
    } catch {
      // SECURITY: who signs in unrecorded does not sign in. The link is spent; there is a next one.
      sessions.signOut(session.secret);
      return c.html(NOT_RECORDED, 507);
    }
    log.info(EVENT.consoleSignedIn);
    setCookie(c, COOKIE, session.secret, {
      httpOnly: true,
      sameSite: 'Strict',
      path: '/',
      expires: new Date(session.expiresAt),
    });
    return c.redirect('/', 303);
  });
  app.post('/sign-out', async (c) => {
    const secret = getCookie(c, COOKIE) ?? '';
    const isSession = sessions.check(secret) !== undefined;
    sessions.signOut(secret);
    // Whoever leaves, leaves, recorded or not; the trail keeps what the disk did not take.
    if (isSession) await note(c, 'admin.sign_out').catch(() => undefined);
    deleteCookie(c, COOKIE, { path: '/' });
    return c.redirect('/', 303);
  });
}

function consoleSession(c: Context<ApiEnv>, sessions: ConsoleSessions): Session | undefined {
  const expiresAt = sessions.check(getCookie(c, COOKIE) ?? '');
  if (expiresAt === undefined) return undefined;
  return { kind: 'console', name: 'console', readOnly: true, expiresAt };
}

async function serveAsset(
  c: Context<ApiEnv>,
  assets: ConsoleAssets | undefined,
): Promise<Response> {
  const asset = await assets?.find(c.req.path);
  if (asset === undefined) {
    const page = c.req.path === '/' ? NOT_BUILT : NOT_FOUND;
    return c.html(page, 404);
  }
  return c.body(new Uint8Array(asset.body), 200, {
    'content-type': asset.contentType,
    'cache-control': asset.cacheControl,
  });
}

function page(title: string, text: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${text}</p></html>`;
}

const SPENT_LINK = page(
  'This link does not work any more',
  'A sign-in link is good once and for ten minutes. <code>palisade up</code> prints a new one when it starts.',
);
const NOT_RECORDED = page(
  'Nobody can sign in now',
  'The disk of the control plane takes no records, and a sign-in has to be on record.',
);
const NOT_BUILT = page(
  'The console is not built',
  'Run <code>npm run build -w console</code> in the checkout. The API and the CLI work without it.',
);
const NOT_FOUND = page('Not found', 'There is no such file.');
