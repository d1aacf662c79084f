import { fail, ok } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import { openJoinToken } from '#trust';
import type { NodeAttestor } from './node-attestor.ts';

/** A token that an author signed for this one host, good once and for a short time. */
export const joinToken: NodeAttestor = {
  strength: 'token',
  begin({ token }, { trustRoot, nowMs }) {
    if (typeof token !== 'string') return fail('`token` is missing');
    const opened = openJoinToken(token, ROOT_NAMESPACE, trustRoot, nowMs);
    if (!opened.ok) return fail(opened.error.message);
    const { id, host, expires } = opened.value;
    const usesUp = { tokenId: id, expiresAt: Date.parse(expires) };
    return ok({
      kind: 'attested',
      host: { agent: host, selectors: [`join_token:host:${host}`], isFirstUseOnly: false, usesUp },
    });
  },
};
