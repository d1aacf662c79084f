import { parseSpiffeId, type SpiffeId } from '#identity';
import type { Field } from '../field.ts';
import type { PolicyIr, RuleIr } from '../ir.ts';
import { parseCondition } from '../pattern.ts';
import type { Question, RequestHeaders } from '../question.ts';

/** Conditions of one alternative by field name, `!` before it for a negation. */
export type Written = Readonly<Record<string, readonly string[]>>;

/** A rule of one source and one operation, either of which may be left out. */
export function rule(source?: Written, operation?: Written): RuleIr {
  return {
    sources: source === undefined ? [] : [alternative(source)],
    operations: operation === undefined ? [] : [alternative(operation)],
    when: [],
  };
}

/** A policy `default/NAME` for the workload `app: orders`. */
export function policy(
  name: string,
  action: PolicyIr['action'],
  rules: readonly RuleIr[],
  dryRun = false,
): PolicyIr {
  return {
    id: `default/${name}`,
    namespace: 'default',
    name,
    action,
    dryRun,
    rules,
    origin: {
      labels: {},
      annotations: dryRun ? { 'istio.io/dry-run': 'true' } : {},
      matchLabels: { app: 'orders' },
      targets: [],
    },
  };
}

/** The identity of an account of `default`. */
export function idOf(account: string): SpiffeId {
  const parsed = parseSpiffeId(`spiffe://cluster.local/ns/default/sa/${account}`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** `METHOD PATH` to `orders` port 80 by an account of `default`, or by nobody. */
export function request(caller: string | undefined, line: string): Question {
  const [method = '', path = ''] = line.split(' ');
  return {
    ...connection(caller),
    request: { method, host: 'orders', path, headers: headersOf({}) },
  };
}

/** Headers of a request by name in lower case, each with its lines. */
export function headersOf(lines: Readonly<Record<string, readonly string[]>>): RequestHeaders {
  return {
    collect(name, into) {
      for (const line of lines[name] ?? []) into.push(line);
    },
  };
}

/** A TCP connection to port 80. */
export function connection(caller: string | undefined): Question {
  const id = caller === undefined ? undefined : idOf(caller);
  return {
    source: { id, ip: '127.0.0.1' },
    connection: { tls: id !== undefined, sni: undefined },
    request: undefined,
    destination: { port: 80 },
    nowMs: 0,
  };
}

function alternative(written: Written): RuleIr['when'] {
  return Object.entries(written).map(([key, values]) => {
    const negated = key.startsWith('!');
    const field = (negated ? key.slice(1) : key) as Field;
    const scope = { trustDomain: 'cluster.local', namespace: 'default' };
    const parsed = parseCondition({ field, negated, values }, scope);
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  });
}
