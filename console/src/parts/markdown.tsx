import { Fragment, type ReactNode } from 'react';
import { type Block, type Inline, parseMarkdown } from '../words/markdown.ts';
import { CopyCommand } from './copy-command.tsx';

/** A document of ours in Markdown. Elements are built piece by piece, so nothing in it can become markup. */
export function Markdown(props: {
  source: string;
  /** Where a link leads; undefined leaves its text alone. */
  linkTo: (href: string, text: string) => ReactNode;
}): ReactNode {
  const line = (inline: readonly Inline[]): ReactNode =>
    inline.map((piece, index) => (
      <Fragment key={index}>
        {piece.kind === 'link' ? props.linkTo(piece.href, piece.text) : inlineOf(piece)}
      </Fragment>
    ));
  return (
    <div className="document">
      {parseMarkdown(props.source).map((block, index) => (
        <DocumentBlock key={index} block={block} line={line} />
      ))}
    </div>
  );
}

function DocumentBlock(props: {
  block: Block;
  line: (inline: readonly Inline[]) => ReactNode;
}): ReactNode {
  const { block, line } = props;
  switch (block.kind) {
    case 'heading':
      return <h3 data-level={block.level}>{line(block.inline)}</h3>;
    case 'paragraph':
      return <p>{line(block.inline)}</p>;
    case 'code':
      return <CodeBlock text={block.text} />;
    case 'list': {
      const items = block.items.map((item, index) => <li key={index}>{line(item)}</li>);
      return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
    case 'table':
      return <DocumentTable rows={block.rows} line={line} />;
  }
}

/** A command alone in its block can be copied. */
function CodeBlock({ text }: { text: string }): ReactNode {
  const lines = text.split('\n').filter((entry) => entry.trim() !== '');
  const [first] = lines;
  if (first !== undefined && lines.length === 1 && first.startsWith('palisade ')) {
    return <CopyCommand command={first} />;
  }
  return (
    <pre tabIndex={0}>
      <code>{text}</code>
    </pre>
  );
}

function DocumentTable(props: {
  rows: readonly (readonly (readonly Inline[])[])[];
  line: (inline: readonly Inline[]) => ReactNode;
}): ReactNode {
  const [head = [], ...rows] = props.rows;
  return (
    <div className="wide">
      <table>
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th key={index} scope="col">
                {props.line(cell)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, at) => (
                <td key={at}>{props.line(cell)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inlineOf(piece: Exclude<Inline, { kind: 'link' }>): ReactNode {
  switch (piece.kind) {
    case 'code':
      return <code>{piece.text}</code>;
    case 'strong':
      return <strong>{piece.text}</strong>;
    case 'em':
      return <em>{piece.text}</em>;
    default:
      return piece.text;
  }
}
