import type { ProxyContext } from './context.ts';
import type { FailureKind } from './respond.ts';
import type { TlsPeer } from './tls-peer.ts';

/** Why a server may no longer answer for the service `fqdn` under what is enforced now; undefined if it may. */
export function judgeReached(
  context: ProxyContext,
  fqdn: string,
  peer: TlsPeer | undefined,
): FailureKind | undefined {
  const enforcement = context.enforcement();
  const { identity, snapshot } = enforcement;
  // Nobody has been reached yet: whoever will be is judged then.
  if (peer === undefined || identity === undefined) return undefined;
  const server = peer.current({ ...enforcement, identity });
  if (!server.ok) return 'upstream_identity_mismatch';
  // A service that was looked up is in no snapshot at first; who serves it was checked by its proof.
  const service = snapshot?.upstreams.get(fqdn);
  if (service === undefined || service.identities.has(server.value.id.text)) return undefined;
  return 'upstream_identity_mismatch';
}
