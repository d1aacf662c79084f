import { type ReactNode, useId, useState } from 'react';
import type { Alert } from '../../api/alert.ts';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { TextField } from '../../parts/text-field.tsx';
import { commandLine } from '../../words/command.ts';

const SPANS = ['30m', '2h', '8h', '24h', '7d'] as const;

/**
 * Writes the command that silences an alert. The console's session only reads (decision 0003), so that
 * a stolen cookie cannot keep an alarm from ringing: the silence is made by whoever holds a key.
 */
export function SilenceForm({ alert }: { alert: Alert }): ReactNode {
  const id = useId();
  const [owner, setOwner] = useState('');
  const [reason, setReason] = useState('');
  const [span, setSpan] = useState<string>('2h');
  const isWhole = owner.trim() !== '' && reason.trim() !== '';
  return (
    <details className="silence">
      <summary>Silence it</summary>
      <div className="silence-fields">
        <TextField label="Owner" placeholder="who takes it" value={owner} onChange={setOwner} />
        <TextField
          label="Reason"
          placeholder="why it may wait"
          value={reason}
          onChange={setReason}
        />
        <label className="field" htmlFor={id}>
          <span>For</span>
          <select id={id} value={span} onChange={(event) => setSpan(event.target.value)}>
            {SPANS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
      </div>
      {isWhole ? (
        <CopyCommand command={silenceCommand(alert, { owner, reason, span })} />
      ) : (
        <p className="quiet">
          With an owner and a reason the command stands here; it ends by itself.
        </p>
      )}
    </details>
  );
}

function silenceCommand(
  alert: Alert,
  silence: { owner: string; reason: string; span: string },
): string {
  return commandLine(
    ['alerts', 'silence', alert.name],
    [
      ['owner', silence.owner.trim()],
      ['for', silence.span],
      ['reason', silence.reason.trim()],
    ],
  );
}
