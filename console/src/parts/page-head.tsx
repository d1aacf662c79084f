import type { ReactNode } from 'react';
import type { Answer } from '../live/answer-cache.ts';
import { PAGES } from '../route/pages.ts';
import type { ExportColumn } from '../words/export.ts';
import { CopyCommand } from './copy-command.tsx';
import { ExportButtons } from './export-buttons.tsx';

/** What {@link PageHead} needs to offer files of what is shown. */
export type Exported<T> = {
  /** File name without extension. */
  readonly name: string;
  readonly columns: readonly ExportColumn<T>[];
  readonly rows: readonly T[];
};

type PageHeadProps<T> = {
  title: (typeof PAGES)[number]['title'];
  /** The answer in words with its number; undefined while it is not known. */
  sentence: ReactNode | undefined;
  /** What the sentence is made of: where that failed, the page says so instead of waiting for ever. */
  answer?: Answer<unknown>;
  command: string;
  exported?: Exported<T>;
};

/** The top of each page: its question, the answer in one sentence, the command that says the same. */
export function PageHead<T>(props: PageHeadProps<T>): ReactNode {
  const question = PAGES.find((page) => page.title === props.title)?.question;
  return (
    <header className="page-head">
      <div className="page-title">
        <h1>{props.title}</h1>
        <p className="question">{question}</p>
      </div>
      <div className="page-actions">
        <CopyCommand command={props.command} />
        {props.exported !== undefined && <ExportButtons {...props.exported} />}
      </div>
      <p className="sentence">{props.sentence ?? <Unknown answer={props.answer} />}</p>
    </header>
  );
}

function Unknown({ answer }: { answer: Answer<unknown> | undefined }): ReactNode {
  if (answer !== undefined && answer.failure !== undefined && answer.data === undefined) {
    return 'This is not known now.';
  }
  return <span className="skeleton skeleton-sentence">asking the mesh</span>;
}
