import type { ReactNode } from 'react';
import { sentencePieces } from '../words/sentence.ts';

/** A sentence of the API: what it quotes in backticks is set as code, and it ends like a sentence. */
export function Words(props: { text: string }): ReactNode {
  return (
    <span>
      {sentencePieces(props.text).map((piece, index) =>
        piece.isCode ? <code key={index}>{piece.text}</code> : piece.text,
      )}
    </span>
  );
}
