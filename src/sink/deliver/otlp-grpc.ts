import { isIP } from 'node:net';
import type * as GrpcModule from '@grpc/grpc-js';
import { fail, ok, type Result } from '#lib';
import type { SinkHttp } from '#resource';
import { loadOtlp, type Otlp } from '#wire';
import type { Evidence } from '../evidence.ts';
import { encodeOtlp, type OtlpSignal, readPartialSuccess, signalOf } from '../formats/otlp.ts';
import { type Outcome, quoted, type Receiver, retry } from '../receiver.ts';
import { readHeaders, withoutSecrets } from '../secrets.ts';
import type { Surroundings } from '../surroundings.ts';
import { readTls } from '../tls.ts';

type Grpc = typeof GrpcModule;
type Client = GrpcModule.Client;
type Channel = { readonly client: Client; readonly key: string };
type Reply = { readonly error: GrpcModule.ServiceError | null; readonly body: Buffer };

const METHOD: Readonly<Record<OtlpSignal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
};
const MAX_ANSWER_BYTES = 64 * 1024;

/** Sends OTLP/gRPC. grpc-js is loaded with the first delivery. */
export function createOtlpGrpc(receiver: SinkHttp, surroundings: Surroundings): Receiver {
  const url = new URL(receiver.endpoint);
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? 4317 : Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  let channel: Channel | undefined;

  /** A channel to an address that was looked at; another one when address or credentials change. */
  async function connect(grpc: Grpc): Promise<Result<Client, string>> {
    const found = await surroundings.guard.resolve(host, port);
    if (!found.ok) return fail(`not sent: ${found.error}`);
    const tls = isTls ? readTls(surroundings) : undefined;
    if (tls?.ok === false) return fail(tls.error);
    const addresses = found.value.map((address) => hostAndPort(address, port)).toSorted();
    const key = JSON.stringify([addresses, tls?.value]);
    if (channel?.key === key) return ok(channel.client);
    channel?.client.close();
    const families = new Set(found.value.map(isIP));
    // One family at a time, as grpc-js' own schemes of addresses have it.
    const scheme = families.has(4) ? 'ipv4' : 'ipv6';
    const target = addresses.filter((address) => address.startsWith('[') === (scheme === 'ipv6'));
    const name = surroundings.tls?.serverName ?? host;
    const client = new grpc.Client(
      `${scheme}:${target.join(',')}`,
      credentialsOf(grpc, tls?.value),
      {
        'grpc.enable_http_proxy': 0,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_retries': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
        'grpc.default_compression_algorithm': receiver.compression === 'gzip' ? 2 : 0,
        'grpc.primary_user_agent': surroundings.userAgent,
        'grpc.default_authority': isIP(name) === 0 ? name : hostAndPort(name, port),
        ...(isTls ? { 'grpc.ssl_target_name_override': name } : {}),
      },
    );
    channel = { client, key };
    return ok(client);
  }

  return {
    async deliver(batch: readonly Evidence[], signal: AbortSignal) {
      const [grpc, otlp] = await Promise.all([import('@grpc/grpc-js'), loadOtlp()]);
      const headers = readHeaders(surroundings.secrets, receiver.headers);
      if (!headers.ok) return retry(headers.error);
      const client = await connect(grpc);
      if (!client.ok) return retry(client.error);
      const metadata = new grpc.Metadata();
      for (const [name, value] of Object.entries(headers.value)) metadata.set(name, value);
      const kind = signalOf(batch);
      const body = encodeOtlp(otlp, batch, surroundings);
      const reply = await call(client.value, { path: METHOD[kind], body, metadata }, signal);
      return outcomeOf({ grpc, otlp, kind, secrets: headers.value }, reply);
    },
    close: () => channel?.client.close(),
  };
}

function call(
  client: Client,
  request: {
    readonly path: string;
    readonly body: Uint8Array;
    readonly metadata: GrpcModule.Metadata;
  },
  signal: AbortSignal,
): Promise<Reply> {
  const asIs = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    const running = client.makeUnaryRequest(
      request.path,
      asIs,
      asIs,
      Buffer.from(request.body),
      request.metadata,
      (error, body) => resolve({ error, body: body ?? Buffer.alloc(0) }),
    );
    signal.addEventListener('abort', () => running.cancel(), { once: true });
  });
}

type AnswerContext = {
  readonly grpc: Grpc;
  readonly otlp: Otlp;
  readonly kind: OtlpSignal;
  readonly secrets: Readonly<Record<string, string>>;
};

function outcomeOf({ grpc, otlp, kind, secrets }: AnswerContext, { error, body }: Reply): Outcome {
  if (error === null) return readPartialSuccess(otlp, kind, body);
  const name = grpc.status[error.code] ?? String(error.code);
  const reason = `answered ${name}: ${quoted(withoutSecrets(error.details, secrets))}`;
  // What is wrong with the data itself; all else can be put right without losing any.
  if (error.code === grpc.status.INVALID_ARGUMENT) return { kind: 'refused', reason };
  return retry(reason);
}

function credentialsOf(
  grpc: Grpc,
  tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined,
): GrpcModule.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  const bytes = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  return grpc.credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert));
}

function hostAndPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
