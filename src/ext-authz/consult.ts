import type { Consult, ConsultAnswer, ConsultRequest } from '#proxy';
import { type ProviderClient, ProviderError } from './provider-client.ts';

/** Asks providers, each over connections of its own that are kept. */
export type Consulting = { readonly consult: Consult; readonly close: () => void };

// More questions than this at once to one provider would only wait for each other.
const MAX_PENDING = 1_000;
const MAX_PROVIDERS = 64;

/** Creates what asks the providers of CUSTOM policies. */
export function createConsult(): Consulting {
  const clients = new Map<string, Entry>();
  const clientOf = (request: ConsultRequest) => {
    const { provider } = request;
    // A provider that was declared anew is another one.
    const key = JSON.stringify(provider);
    const known = clients.get(key);
    if (known !== undefined) return known;
    if (clients.size >= MAX_PROVIDERS) closeAll();
    const entry = { client: createClient(provider.protocol), pending: 0 };
    clients.set(key, entry);
    return entry;
  };
  const closeAll = (): void => {
    for (const { client } of clients.values()) {
      client.then(
        (made) => made.close(),
        () => undefined,
      );
    }
    clients.clear();
  };
  return {
    async consult(request) {
      const entry = clientOf(request);
      if (entry.pending >= MAX_PENDING) return unable('overloaded');
      entry.pending++;
      try {
        return await askInTime(entry.client, request);
      } finally {
        entry.pending--;
      }
    },
    close: closeAll,
  };
}

type Entry = { readonly client: Promise<ProviderClient>; pending: number };

// Most sidecars never ask anybody, so the clients are loaded by the first question.
async function createClient(protocol: 'http' | 'grpc'): Promise<ProviderClient> {
  if (protocol === 'grpc') return new (await import('./grpc-provider.ts')).GrpcProvider();
  return new (await import('./http-provider.ts')).HttpProvider();
}

/** One time budget for connecting, asking and answering. */
async function askInTime(
  client: Promise<ProviderClient>,
  request: ConsultRequest,
): Promise<ConsultAnswer> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<ConsultAnswer>((resolve) => {
    timer = setTimeout(() => {
      resolve(unable('timeout'));
      controller.abort();
    }, request.provider.timeoutMs);
  });
  const asked = client
    .then((made) => made.ask(request, controller.signal))
    .then(
      (kind): ConsultAnswer => ({ kind }),
      (error: unknown) => unable(error instanceof ProviderError ? error.word : 'unreachable'),
    );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unable(detail: string): ConsultAnswer {
  return { kind: 'unable', detail };
}
