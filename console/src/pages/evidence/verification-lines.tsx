import type { ReactNode } from 'react';
import type { AuditVerification, LogVerification, Witness } from '../../api/audit-event.ts';
import type { Answer } from '../../live/answer-cache.ts';
import { AnswerNote } from '../../parts/answer-states.tsx';
import { CopyCommand } from '../../parts/copy-command.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { commandLine } from '../../words/command.ts';
import { formatCount, formatNoun } from '../../words/format.ts';
import { logName, logState } from './evidence-state.ts';

/** Each log: whether its chain holds, up to which signed checkpoint, and the command that checks it anew. */
export function VerificationLines({ answer }: { answer: Answer<AuditVerification> }): ReactNode {
  const logs = answer.data?.logs ?? [];
  return (
    <>
      <AnswerNote answer={answer} rows={2} />
      {answer.data !== undefined && (
        <ul className="logs" aria-label="State of the audit logs">
          {logs.map((log) => (
            <LogLine key={log.name} log={log} />
          ))}
          <li>
            <span className="quiet">{witnessWords(answer.data.witnesses)}</span>
            <CopyCommand command={commandLine(['audit', 'verify'])} />
          </li>
        </ul>
      )}
    </>
  );
}

function LogLine({ log }: { log: LogVerification }): ReactNode {
  const state = logState(log);
  const { checkpoint } = log;
  return (
    <li>
      <strong>{logName(log)} log</strong>
      <StateWord tone={state.tone}>{state.word}</StateWord>
      <span className="log-words">
        {log.problem ? (
          <Words text={`entry ${log.problem.index}: ${log.problem.message}`} />
        ) : (
          <>
            {formatNoun(log.size, 'event')}
            {checkpoint && (
              <>
                , checkpoint at {formatCount(checkpoint.size)} signed{' '}
                <Moment at={checkpoint.signed_at} />
              </>
            )}
            {log.verified_at && (
              <>
                , checked <Moment at={log.verified_at} />
              </>
            )}
          </>
        )}
      </span>
    </li>
  );
}

/** Who besides the control plane keeps checkpoints, so that it cannot rewrite what they have seen. */
function witnessWords(witnesses: readonly Witness[]): string {
  if (witnesses.length === 0) {
    return 'No agent keeps a checkpoint yet: only the control plane could tell of a rewrite.';
  }
  const upTo = Math.max(...witnesses.map((witness) => witness.size));
  const agents = formatNoun(witnesses.length, 'agent keeps', 'agents keep');
  return `${agents} checkpoints, up to ${formatNoun(upTo, 'event')}: a rewrite of what they saw is found.`;
}
