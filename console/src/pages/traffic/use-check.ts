import { useEffect, useState } from 'react';
import type { ListedRecord } from '../../api/access-record.ts';
import type { Explanation } from '../../api/denial.ts';
import { type ApiAnswer, fetchJson } from '../../api/fetch-json.ts';
import { checkQuestion } from './check-question.ts';

/** What policy says of the same call now; undefined while it is asked, or where it cannot be. */
export function useCheck(record: ListedRecord): ApiAnswer<Explanation> | undefined {
  const [answer, setAnswer] = useState<ApiAnswer<Explanation>>();
  const question = JSON.stringify(checkQuestion(record));
  useEffect(() => {
    let isWanted = question !== undefined;
    if (!isWanted) return undefined;
    void fetchJson<Explanation>('/check', JSON.parse(question)).then((result) => {
      if (isWanted) setAnswer(result);
    });
    return () => {
      isWanted = false;
    };
  }, [question]);
  return answer;
}
