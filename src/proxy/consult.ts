import type { Duplex } from 'node:stream';
import type { Consultation, Question } from '#policy';
import type { AuthorizationProvider } from '#snapshot';
import type { ProxyContext } from './context.ts';
import { dialService, dialTcp } from './dial.ts';
import type { RequestFacts } from './http-call.ts';
import type { Endpoint } from './options.ts';
import type { BytePipe } from './pipe.ts';
import { PipeDuplex } from './pipe-duplex.ts';
import { isStripped } from './question.ts';
import { choosePort, findService } from './route.ts';

/** What a provider is asked. */
export type ConsultRequest = {
  readonly provider: AuthorizationProvider;
  readonly question: Question;
  /** Headers of the request that the provider may see, by name in lower case; none on a TCP connection. */
  readonly headers: {
    readonly names: readonly string[];
    readonly values: (name: string) => readonly string[];
  };
  /** Connects to the provider, with the identity of its service proven; rejects with a stable word. */
  readonly connect: () => Promise<Duplex>;
};

/** What a provider said; `unable` if it said nothing that counts, with a stable word for why. */
export type ConsultAnswer =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny' }
  | { readonly kind: 'unable'; readonly detail: string };

/** Asks a provider within its time; never rejects. */
export type Consult = (request: ConsultRequest) => Promise<ConsultAnswer>;

/** What became of asking one provider for one call. */
export type Consulted =
  | { readonly kind: 'consent' }
  | { readonly kind: 'denied'; readonly by: Consultation }
  | { readonly kind: 'unable'; readonly by: Consultation; readonly detail: string };

/**
 * Asks the provider of one CUSTOM policy about a call.
 * SECURITY: whatever is not a clear yes is no, unless the mesh declared that this provider fails open.
 */
export async function consultProvider(
  context: ProxyContext,
  by: Consultation,
  call: { readonly question: Question; readonly head: RequestFacts | undefined },
): Promise<Consulted> {
  const { options } = context;
  const provider = options.snapshots.current()?.providers.get(by.provider);
  if (provider === undefined) return { kind: 'unable', by, detail: 'unknown_provider' };
  if (options.consult === undefined) return { kind: 'unable', by, detail: 'no_provider' };
  const { head, question } = call;
  // Copied now: once the call waits, the memory of its head may be used for something else.
  const copied = new Map(
    shownHeaders(provider, head).map((name) => [name, head?.fields.values(name) ?? []] as const),
  );
  const answer = await ask(options.consult, {
    provider,
    question,
    headers: { names: [...copied.keys()], values: (name) => copied.get(name) ?? [] },
    connect: () => connect(context, provider),
  });
  if (answer.kind === 'allow') return { kind: 'consent' };
  if (answer.kind === 'deny') return { kind: 'denied', by };
  return provider.failOpen
    ? { kind: 'consent' }
    : { kind: 'unable', by, detail: `provider_${answer.detail}` };
}

async function ask(consult: Consult, request: ConsultRequest): Promise<ConsultAnswer> {
  try {
    return await consult(request);
  } catch {
    // A client that falls over has not heard a yes.
    return { kind: 'unable', detail: 'failed' };
  }
}

/** As Envoy: over gRPC all of them, over HTTP those that were declared, and `authorization`. */
function shownHeaders(
  { protocol, copiedHeaders }: AuthorizationProvider,
  head: RequestFacts | undefined,
): readonly string[] {
  if (protocol === 'http') return ['authorization', ...copiedHeaders];
  return (head?.fields.names() ?? []).filter((name) => !isStripped(name));
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/;

function connect(context: ProxyContext, provider: AuthorizationProvider): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const done = (result: Dialed): void => {
      if (result.kind === 'connected') resolve(new PipeDuplex(result.pipe));
      else reject(new Error(result.failure.detail ?? result.failure.kind));
    };
    if (LOOPBACK.test(provider.host)) {
      const host = provider.host === 'localhost' ? '127.0.0.1' : provider.host;
      return dialTcp({ host, port: provider.port }, { timeoutMs: provider.timeoutMs }, done);
    }
    findService(context, provider.host, (service) => {
      const port = service && choosePort(service, provider.port);
      // SECURITY: outside the mesh nobody could prove to be the provider.
      if (service === undefined || port === undefined) return reject(new Error('no_such_service'));
      const endpoint = pick(context.options.endpoints(service, port.port));
      if (endpoint === undefined) return reject(new Error('no_healthy_endpoint'));
      dialService(context, { service, port: port.port, endpoint }, done);
    });
  });
}

type Dialed =
  | { readonly kind: 'connected'; readonly pipe: BytePipe }
  | {
      readonly kind: 'failed';
      readonly failure: { readonly kind: string; readonly detail?: string | undefined };
    };

function pick(endpoints: readonly Endpoint[]): Endpoint | undefined {
  return endpoints[Math.floor(Math.random() * endpoints.length)];
}
