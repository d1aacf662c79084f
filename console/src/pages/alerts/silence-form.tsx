import { type ReactNode, useState } from 'react';
import type { Alert } from '../../api/alert.ts';
import { ChoiceField } from '../../parts/choice-field.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { TextField } from '../../parts/text-field.tsx';
import { commandLine } from '../../words/command.ts';
import { formatSpanWord } from '../../words/format.ts';

const SPANS = ['1h', '2h', '8h', '24h', '7d'] as const;

/**
 * Writes the command that silences an alert. SECURITY: the console's session only reads (decision 0003), so
 * that a stolen cookie cannot keep an alarm from ringing; whoever runs the command answers for it by name.
 */
export function SilenceForm({ alert }: { alert: Alert }): ReactNode {
  const [reason, setReason] = useState('');
  const [span, setSpan] = useState<string>('2h');
  return (
    <details className="silence">
      <summary>Silence it</summary>
      <div className="silence-fields">
        <TextField
          label="Reason"
          placeholder="why it may wait"
          value={reason}
          onChange={setReason}
        />
        <ChoiceField
          label="For"
          value={span}
          choices={SPANS.map((one) => [one, formatSpanWord(one)])}
          onChange={setSpan}
        />
      </div>
      {reason.trim() === '' ? (
        <p className="quiet">
          With a reason the command stands here. Whoever runs it owns the silence, and it ends by
          itself.
        </p>
      ) : (
        <CopyCommand
          command={commandLine(
            ['alerts', 'silence', alert.id],
            [
              ['for', span],
              ['reason', reason.trim()],
            ],
          )}
        />
      )}
    </details>
  );
}
