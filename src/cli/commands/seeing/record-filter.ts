import { EXIT, ExitError } from '../../exit.ts';

/** What `palisade log` and its like are asked for; `where` conditions as people write them. */
export type RecordFilters = {
  readonly denied?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly since?: string;
  readonly until?: string;
  readonly verdict?: string;
  readonly reason?: string;
  readonly method?: string;
  /** Begins with. */
  readonly path?: string;
  readonly status?: string;
  /** gRPC's own. */
  readonly grpcStatus?: string;
  readonly policy?: string;
  readonly trace?: string;
  readonly node?: string;
  /** Anywhere in the record. */
  readonly text?: string;
  readonly where?: readonly string[];
};

/** Flags that are fields of the record, and the field each is. */
const FIELDS = {
  verdict: 'verdict',
  reason: 'reason',
  method: 'method',
  status: 'status',
  grpcStatus: 'grpc_status',
  policy: 'policy',
  trace: 'trace_id',
  node: 'node',
} as const;

const CONDITION = /^([a-z][a-z0-9_.]{0,63})(!=|>=|<=|=|>|<|~)(.*)$/s;

/** The query of the API for these filters; `namespace` where one was asked for. Throws a usage error. */
export function recordQuery(
  filters: RecordFilters,
  namespace: string | undefined,
): URLSearchParams {
  const query = new URLSearchParams();
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) query.append(name, value);
  };
  for (const name of ['from', 'to', 'since', 'until'] as const) set(name, filters[name]);
  set('denied', filters.denied === true ? 'true' : undefined);
  set('namespace', namespace);
  for (const [flag, field] of Object.entries(FIELDS))
    set(field, filters[flag as keyof typeof FIELDS]);
  // People write `/api/*` for what begins with `/api/`.
  set('path', filters.path?.replace(/\*?$/, '*'));
  set('q', filters.text);
  for (const condition of filters.where ?? []) query.append(...parseWhere(condition));
  return query;
}

/** `FIELD=VALUE` and its like as a name and value of the API's query. */
function parseWhere(text: string): [string, string] {
  const [, field, sign, value = ''] = CONDITION.exec(text) ?? [];
  if (field === undefined) {
    throw new ExitError(
      EXIT.usage,
      `\`${text}\` is no condition`,
      'write FIELD=VALUE, FIELD!=VALUE, FIELD~PART, or FIELD>N (also >=, <, <=); VALUE* begins with VALUE',
    );
  }
  if (sign === '!=') return [field, `!${value}`];
  if (sign !== '=') return [field, `${sign}${value}`];
  // What follows the sign is meant as it is, though the API would read it as a sign of its own.
  return [field, /^[!~<>\\]/.test(value) ? `\\${value}` : value];
}
