/** A piece of a sentence; `isCode` was quoted in backticks. */
export type SentencePiece = { readonly text: string; readonly isCode: boolean };

/**
 * The API's sentences quote names and input in backticks and, being values, end without a full stop.
 * The first word keeps its case: it is often a name.
 */
export function sentencePieces(text: string): readonly SentencePiece[] {
  const ended = text === '' || /[.:?]$/.test(text) ? text : `${text}.`;
  const parts = ended.split('`');
  // An odd number of backticks is a quoted backtick, not a quotation: the last stays as it is.
  const closed =
    parts.length % 2 === 1 ? parts : [...parts.slice(0, -2), parts.slice(-2).join('`')];
  return closed
    .map((part, index) => ({ text: part, isCode: index % 2 === 1 }))
    .filter((piece) => piece.text !== '');
}
