import { codeOfName } from '#protocol';

/** Fields as HTTP/2 has them: name, value, name, value … with names in lower case. */
type Fields = readonly string[];

/** The head of an answer without the fields whose codes are in `dropped`. */
export function answerFields(status: number, fields: Fields, dropped: number): string[] {
  const answer = [':status', `${status}`];
  copyKept(fields, dropped, answer);
  return answer;
}

/** Fields without those whose codes are in `dropped`. */
export function keptFields(fields: Fields, dropped: number): string[] {
  const kept: string[] = [];
  copyKept(fields, dropped, kept);
  return kept;
}

/** The value of the first field of that name. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
}

function copyKept(fields: Fields, dropped: number, into: string[]): void {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    const code = codeOfName(name);
    if (typeof code === 'number' && ((dropped >> code) & 1) !== 0) continue;
    into.push(name, fields[at + 1] as string);
  }
}
