import type { ReactNode } from 'react';
import { diffKind, yamlTokens } from '../words/yaml-tokens.ts';

type SourceViewProps = {
  text: string;
  label: string;
  /** A unified diff instead of a plain source. */
  diff?: boolean;
  /** Words in the margin of a line, by line number from 1. */
  margin?: ReadonlyMap<number, ReactNode>;
};

/** YAML or a diff of it, with line numbers. */
export function SourceView({ text, label, diff = false, margin }: SourceViewProps): ReactNode {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    // A block that scrolls must be reachable by keyboard.
    <div className="source" role="region" aria-label={label} tabIndex={0}>
      <ol data-numbered={diff ? undefined : ''}>
        {lines.map((line, index) => (
          <li key={index} data-diff={diff ? diffKind(line) : undefined}>
            <code>{diff ? <DiffLine line={line} /> : <YamlLine line={line} />}</code>
            {margin?.has(index + 1) && (
              <span className="source-margin">{margin.get(index + 1)}</span>
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

function DiffLine({ line }: { line: string }): ReactNode {
  if (diffKind(line) === 'place') return line;
  return (
    <>
      {line.slice(0, 1)}
      <YamlLine line={line.slice(1)} />
    </>
  );
}

function YamlLine({ line }: { line: string }): ReactNode {
  return yamlTokens(line).map((token, index) => (
    <span key={index} data-token={token.kind}>
      {token.text}
    </span>
  ));
}
