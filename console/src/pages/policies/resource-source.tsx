import type { ReactNode } from 'react';
import type { PolicyFinding, ResourceEntry } from '../../api/policy-set.ts';
import { useNow } from '../../live/use-now.ts';
import { Moment } from '../../parts/moment.tsx';
import { SourceView } from '../../parts/source-view.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { findingsOf, lineMarks, type RuleFacts } from './rule-marks.ts';

type ResourceSourceProps = { entry: ResourceEntry; facts: RuleFacts };

/** A resource as its author wrote it, with each rule's hits in the margin, and what is dead or wide in words. */
export function ResourceSource({ entry, facts }: ResourceSourceProps): ReactNode {
  const nowMs = useNow();
  const text = entry.source ?? JSON.stringify(entry.resource, null, 2);
  return (
    <section className="resource" aria-labelledby="resource-title">
      <div className="resource-head">
        <h2 id="resource-title">
          {entry.kind} {entry.name}
        </h2>
        <p className="quiet">
          changed in version {entry.number} by {entry.author}, <Moment at={entry.time} />
          {entry.source === null && '; its author’s text is not kept, so this is the signed JSON'}
        </p>
      </div>
      <SourceView
        text={text}
        label={`Source of ${entry.kind} ${entry.name}`}
        margin={marginOf(entry, facts, nowMs)}
      />
      <Findings findings={findingsOf(entry, facts.findings)} />
    </section>
  );
}

function marginOf(
  entry: ResourceEntry,
  facts: RuleFacts,
  nowMs: number,
): ReadonlyMap<number, ReactNode> {
  return new Map(
    Array.from(lineMarks(entry, facts, nowMs), ([line, marks]) => [
      line,
      marks.map(({ words, tone }) => (
        <span key={words} className="line-mark">
          {tone === undefined ? words : <StateWord tone={tone}>{words}</StateWord>}
        </span>
      )),
    ]),
  );
}

function Findings({ findings }: { findings: readonly PolicyFinding[] }): ReactNode {
  if (findings.length === 0) return null;
  return (
    <section className="findings" aria-labelledby="findings-title">
      <h3 id="findings-title">To look at</h3>
      <ul className="lines">
        {findings.map(({ line, code, message, help }) => (
          <li key={`${line} ${code} ${message}`}>
            <span className="quiet">line {line}</span>
            <span>
              <Words text={`${message}; ${help}`} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
