import { type ReactNode, useMemo, useState } from 'react';
import type { RevocationPreview } from '../../api/revocation-preview.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { useAnswer } from '../../live/use-live.ts';
import { useNow } from '../../live/use-now.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CallNames } from '../../parts/call-names.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Moment } from '../../parts/moment.tsx';
import { SidePanel } from '../../parts/side-panel.tsx';
import { SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { TextField } from '../../parts/text-field.tsx';
import { Words } from '../../parts/words.tsx';
import { formatCount } from '../../words/format.ts';
import { plainName, shortName } from '../../words/names.ts';
import {
  cutSentence,
  isAgent,
  type PlannedRevocation,
  previewPath,
  type RevokeScope,
  revokeCommand,
} from './revoke-scope.ts';

type RevokePanelProps = {
  revocation: PlannedRevocation;
  answer: Answer<RevocationPreview>;
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
  onClose: () => void;
};

/** What a revocation would hit, kept fresh; undefined asks nothing. */
export function usePreview(revocation: PlannedRevocation | undefined): Answer<RevocationPreview> {
  const { id, scope } = revocation ?? {};
  // biome-ignore lint/correctness/useExhaustiveDependencies: the instant is that of the choice
  const chosenAt = useMemo(() => new Date().toISOString(), [id, scope]);
  const path = revocation && previewPath(revocation, chosenAt);
  return useAnswer<RevocationPreview>(path, { topics: ['identities'] });
}

/**
 * What revoking an identity would cut, then its name, then the command. SECURITY: the console holds no key and
 * its session only reads (decision 0003): whoever runs the command signs for it.
 */
export function RevokePanel(props: RevokePanelProps): ReactNode {
  const { revocation, answer, onChange, onClose } = props;
  const { id, serial, scope } = revocation;
  const name = shortName(id);
  return (
    <SidePanel label={`Revoke ${name}`} title={`Revoke ${name}`} onClose={onClose}>
      <SpiffeIdText id={id} />
      <fieldset className="choices">
        <legend className="visually-hidden">What to revoke</legend>
        {choicesOf(revocation).map((choice) => (
          <label key={choice.scope}>
            <input
              type="radio"
              name="scope"
              checked={scope === choice.scope}
              onChange={() =>
                onChange({ scope: choice.scope === 'identity' ? undefined : choice.scope })
              }
            />
            <span>
              <strong>{choice.title}</strong> <span className="quiet">{choice.words}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <section aria-labelledby="revoke-cuts">
        <h3 id="revoke-cuts">What it cuts</h3>
        <AnswerNote answer={answer} rows={5} />
        {answer.data !== undefined && <Cuts preview={answer.data} />}
      </section>
      {answer.data !== undefined && (
        <Confirm key={`${id} ${scope} ${serial}`} revocation={revocation} name={name} />
      )}
    </SidePanel>
  );
}

type Choice = { readonly scope: RevokeScope; readonly title: string; readonly words: string };

function choicesOf({ id, serial }: PlannedRevocation): readonly Choice[] {
  const all: readonly Choice[] = [
    {
      scope: 'identity',
      title: isAgent(id) ? 'The agent' : 'The identity',
      words: `${isAgent(id) ? 'and all it asked for: ' : ''}nobody has it until somebody lifts this`,
    },
    {
      scope: 'issued',
      title: 'What is issued so far',
      words: 'its owners get new certificates at once, a thief none',
    },
  ];
  if (serial === undefined) return all;
  const words = `${serial.slice(0, 12)}…: its owner gets a new one at once`;
  return [...all, { scope: 'serial', title: 'This certificate', words }];
}

function Cuts({ preview }: { preview: RevocationPreview }): ReactNode {
  const nowMs = useNow();
  return (
    <>
      <p>{cutSentence(preview, nowMs)}</p>
      {preview.revokedAlready && (
        <StateWord tone="stale">revoked already: nothing more would change</StateWord>
      )}
      {!preview.log.reachable && (
        <StateWord tone="stale">
          the issuance log cannot be read, there may be more: <Words text={preview.log.reason} />
        </StateWord>
      )}
      {preview.edges.length > 0 && <CutEdges preview={preview} />}
      {preview.identities.length > 0 && <Losers preview={preview} />}
      <p className="quiet">
        Based on what sidecars counted since <Moment at={preview.countedFrom} />: calls when they
        ended, TCP connections when they began. What has been open without a call for longer is cut
        too, and not seen here.
      </p>
    </>
  );
}

/** As many as are read; the sentence above counts all. */
const MOST_ROWS = 12;

function CutEdges({ preview }: { preview: RevocationPreview }): ReactNode {
  const hidden = preview.totals.edges - Math.min(MOST_ROWS, preview.edges.length);
  return (
    <>
      <table className="cuts">
        <thead>
          <tr>
            <th scope="col">Who with whom</th>
            <th scope="col">Calls</th>
            <th scope="col">TCP</th>
          </tr>
        </thead>
        <tbody>
          {preview.edges.slice(0, MOST_ROWS).map((edge) => (
            <tr key={`${edge.source} ${edge.destination}`}>
              <td>
                <CallNames
                  from={plainName(edge.source, edge.sourceId)}
                  to={plainName(edge.destination, edge.sourceId)}
                />
                {edge.partly && (
                  <span className="quiet"> in part: other instances keep their certificates</span>
                )}
              </td>
              <td className="number">{formatCount(edge.calls)}</td>
              <td className="number">{formatCount(edge.connections)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {hidden > 0 && <p className="quiet">and {formatCount(hidden)} more edges</p>}
    </>
  );
}

function Losers({ preview }: { preview: RevocationPreview }): ReactNode {
  const { identities, totals } = preview;
  const hidden = totals.identities - Math.min(MOST_ROWS, identities.length);
  return (
    <>
      <h3>Who loses a certificate</h3>
      <ul className="losers">
        {identities.slice(0, MOST_ROWS).map(({ spiffeId, heldBy, outcome }) => (
          <li key={spiffeId} title={spiffeId}>
            <StateWord tone={outcome === 'ends' ? 'denied' : 'stale'}>
              {shortName(spiffeId)}{' '}
              {outcome === 'ends' ? 'gets no other one' : 'gets a new one at once'}
            </StateWord>
            <span className="quiet">
              {heldBy.length === 0 ? 'nobody connected has it' : `at ${heldBy.join(', ')}`}
            </span>
          </li>
        ))}
      </ul>
      {hidden > 0 && <p className="quiet">and {formatCount(hidden)} more identities</p>}
    </>
  );
}

function Confirm(props: { revocation: PlannedRevocation; name: string }): ReactNode {
  const { revocation, name } = props;
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  return (
    <section aria-labelledby="revoke-command">
      <h3 id="revoke-command">The command</h3>
      <TextField
        label="Reason"
        placeholder="for those who read the log"
        value={reason}
        onChange={setReason}
      />
      <TextField label="Name" placeholder={name} value={typed} onChange={setTyped} />
      {typed.trim() === name ? (
        <>
          <CopyCommand command={revokeCommand(revocation, { reason })} />
          <p className="quiet">Run it yourself: it is signed with your key, and in your name.</p>
        </>
      ) : (
        <p className="quiet">
          Type <code>{name}</code>, and the command stands here.
        </p>
      )}
    </section>
  );
}
