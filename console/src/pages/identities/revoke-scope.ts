/** What somebody thinks of revoking: in the address, as a question to the API, and as a command. */

import type { RevocationPreview } from '../../api/revocation-preview.ts';
import { apiPath, patchQuery } from '../../route/query.ts';
import { commandLine } from '../../words/command.ts';
import { formatNoun, formatSpan, toMs } from '../../words/format.ts';

/** The identity for good, what is issued of it so far, or the one certificate. */
export type RevokeScope = 'identity' | 'issued' | 'serial';

/** A revocation that nobody signed yet. */
export type PlannedRevocation = {
  readonly id: string;
  /** Of the certificate that was looked at; undefined where an identity was. */
  readonly serial: string | undefined;
  readonly scope: RevokeScope;
};

/** The revocation that an address speaks of; undefined where it speaks of none. */
export function parseRevocation(query: URLSearchParams): PlannedRevocation | undefined {
  const id = query.get('revoke');
  if (id === null || id === '') return undefined;
  const serial = query.get('serial') ?? undefined;
  const asked = query.get('scope');
  if (asked === 'serial' && serial !== undefined) return { id, serial, scope: asked };
  return { id, serial, scope: asked === 'issued' ? asked : 'identity' };
}

/** Where the console shows what revoking an identity would cut. */
export function revokePlace(id: string): string {
  return `/identities${patchQuery('', { revoke: id })}`;
}

/** The API's path of the preview; `now` is the instant before which `issued` means, ISO 8601. */
export function previewPath({ id, serial, scope }: PlannedRevocation, now: string): string {
  if (scope === 'serial') return apiPath('/revocations/preview', { kind: scope, serial });
  const kind = isAgent(id) ? 'agent' : 'identity';
  const issuedBefore = scope === 'issued' ? now : undefined;
  return apiPath('/revocations/preview', { kind, id, issuedBefore });
}

/** The command that does it, or with `dryRun` says what it would do. */
export function revokeCommand(
  { id, serial, scope }: PlannedRevocation,
  { reason = '', dryRun = false }: { readonly reason?: string; readonly dryRun?: boolean },
): string {
  const what = scope === 'serial' && serial !== undefined ? serial : id;
  return commandLine(
    ['identity', 'revoke', what],
    [
      ['issued-before', scope === 'issued' ? 'now' : undefined],
      ['reason', reason.trim()],
      ['dry-run', dryRun || undefined],
    ],
  );
}

/** What it would cut, in a sentence with its numbers. */
export function cutSentence(preview: RevocationPreview, nowMs: number): string {
  const { certificates, totals } = preview;
  const span = formatSpan(nowMs - (toMs(preview.countedFrom) ?? nowMs));
  const traffic = [
    totals.calls > 0 ? formatNoun(totals.calls, 'call') : '',
    totals.connections > 0 ? `${formatNoun(totals.connections, 'TCP connection')} begun` : '',
  ].filter(Boolean);
  const cut =
    totals.edges === 0
      ? `cuts nothing that passed in the last ${span}`
      : `cuts ${formatNoun(totals.edges, 'edge')} with ${traffic.join(' and ')} in the last ${span}`;
  const taken =
    certificates === 0
      ? 'takes no valid certificate'
      : `takes ${formatNoun(certificates, 'certificate')}${
          totals.identities > 1
            ? ` of ${formatNoun(totals.identities, 'identity', 'identities')}`
            : ''
        }`;
  return `It ${taken} and ${cut}.`;
}

/** Whether an identity is a host's agent, with which goes whatever it asked for. */
export function isAgent(id: string): boolean {
  return /^spiffe:\/\/[^/]+\/palisade\/agent\//.test(id);
}
