import { parseDuration } from '#lib';
import type { MeshResource } from '#resource';
import type { AuthorizationProvider } from '#snapshot';

// For a duration that validation would have refused: no answer is in time, and no call passes.
const NO_TIME_MS = 1;

/** Whom CUSTOM policies may ask, by name. */
export function compileProviders(
  mesh: MeshResource | undefined,
): ReadonlyMap<string, AuthorizationProvider> {
  const providers = new Map<string, AuthorizationProvider>();
  for (const { name, envoyExtAuthzGrpc, envoyExtAuthzHttp } of mesh?.spec.extensionProviders ??
    []) {
    const spec = envoyExtAuthzHttp ?? envoyExtAuthzGrpc;
    if (spec === undefined) continue;
    const timeout = parseDuration(spec.timeout);
    providers.set(name, {
      name,
      protocol: envoyExtAuthzHttp === undefined ? 'grpc' : 'http',
      host: spec.service,
      port: spec.port,
      timeoutMs: timeout.ok ? timeout.value : NO_TIME_MS,
      failOpen: spec.failOpen,
      pathPrefix: envoyExtAuthzHttp?.pathPrefix ?? '',
      copiedHeaders: (envoyExtAuthzHttp?.includeRequestHeadersInCheck ?? []).map((header) =>
        header.toLowerCase(),
      ),
      addedHeaders: envoyExtAuthzHttp?.includeAdditionalHeadersInCheck ?? {},
    });
  }
  return providers;
}
