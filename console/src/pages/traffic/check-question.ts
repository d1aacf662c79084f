import type { ListedRecord } from '../../api/access-record.ts';

/** A question to `POST /check`. */
export type CheckQuestion = {
  readonly from?: string;
  readonly to: string;
  readonly namespace?: string;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
  readonly sourceIp?: string;
  readonly sni?: string;
};

/**
 * The question that a recorded call asks again; undefined for a record without a service. What the
 * record does not hold (headers, the end user's token) is left out.
 */
export function checkQuestion(record: ListedRecord): CheckQuestion | undefined {
  const to = record['destination.service'];
  if (to === null || to === '') return undefined;
  return {
    to,
    ...present('from', record['source.id']),
    ...present('namespace', record['destination.namespace']),
    ...present('method', record.method),
    ...present('path', record.path),
    ...present('host', record.host),
    ...present('port', record['destination.port']),
    ...present('sourceIp', record['source.ip']),
    ...present('sni', record['connection.sni']),
  };
}

function present<K extends string, V>(
  key: K,
  value: V | null | undefined,
): { readonly [P in K]?: V } {
  if (value === null || value === undefined || value === '' || value === 0) return {};
  return { [key]: value } as { [P in K]: V };
}
