import type { TraceAnswer, TraceSpan } from '../../api-types.ts';
import { type painter, printable } from '../../output.ts';
import { milliseconds } from './record-line.ts';

const BAR_WIDTH = 24;
const MAX_DEPTH = 64;

/**
 * A trace as a timeline: each span under the one that caused it, with when it began, how long it took, and a bar of where
 * that lies in the whole.
 */
export function traceText(trace: TraceAnswer, paint: ReturnType<typeof painter>): string {
  const { spans } = trace;
  const begin = Math.min(...spans.map(({ start_us: at }) => at));
  const end = Math.max(...spans.map(({ start_us: at, duration_us: took }) => at + took));
  const rows = treeOf(spans).map(({ span, depth }) => ({
    span,
    label: `${'  '.repeat(depth)}${labelOf(span)}`,
  }));
  const width = Math.max(...rows.map(({ label }) => label.length));
  const lines = rows.map(({ span, label }) => {
    const offset = milliseconds(span.start_us - begin).padStart(10);
    const took = milliseconds(span.duration_us).padStart(10);
    const denied = span.attributes['verdict'] === 'deny';
    const bar = barOf(span, begin, Math.max(1, end - begin));
    return `${offset} ${took} ${bar} ${paint(denied ? 'red' : 'bold', label.padEnd(width))}${outcomeOf(span)}`;
  });
  const head = `trace ${printable(trace.trace_id)} at ${spans[0]?.start ?? ''}, ${milliseconds(end - begin)}`;
  return [head, `${'start'.padStart(10)} ${'took'.padStart(10)}`, ...lines].join('\n');
}

type Node = { readonly span: TraceSpan; readonly depth: number };

/** Spans in the order of a walk through the tree of callers; those whose caller is not here begin one. */
function treeOf(spans: readonly TraceSpan[]): readonly Node[] {
  const known = new Set(spans.map(({ span_id: id }) => id));
  const children = Map.groupBy(spans, ({ parent_span_id: parent, span_id: id }) =>
    parent !== null && parent !== id && known.has(parent) ? parent : '',
  );
  const seen = new Set<TraceSpan>();
  const nodes: Node[] = [];
  const walk = (parent: string, depth: number): void => {
    for (const span of children.get(parent) ?? []) {
      // SECURITY: ids come from callers, who may give two spans one id, or make a circle of them.
      if (seen.has(span)) continue;
      seen.add(span);
      nodes.push({ span, depth: Math.min(depth, MAX_DEPTH) });
      walk(span.span_id, depth + 1);
    }
  };
  walk('', 0);
  for (const span of spans) if (!seen.has(span)) nodes.push({ span, depth: 0 });
  return nodes;
}

function labelOf({ kind, service, name }: TraceSpan): string {
  if (kind === name) return printable(kind.replaceAll('_', ' '));
  const place = kind === 'outbound' ? 'calls' : 'serves';
  return printable(`${service ?? 'unknown'} ${place} ${name}`);
}

function barOf(
  { start_us: at, duration_us: took }: TraceSpan,
  begin: number,
  whole: number,
): string {
  const from = Math.min(BAR_WIDTH - 1, Math.floor(((at - begin) / whole) * BAR_WIDTH));
  const length = Math.max(1, Math.min(BAR_WIDTH - from, Math.round((took / whole) * BAR_WIDTH)));
  return `${' '.repeat(from)}${'█'.repeat(length)}`.padEnd(BAR_WIDTH);
}

function outcomeOf({ attributes, kind }: TraceSpan): string {
  if (kind !== 'inbound' && kind !== 'outbound') return '';
  const { verdict, status, reason, policy } = attributes;
  const parts = [
    status,
    verdict === 'deny' ? 'denied' : '',
    reason,
    policy && `by ${String(policy)}`,
  ];
  const said = parts.filter((part) => part !== undefined && part !== '').map(String);
  return said.length === 0 ? '' : `  ${printable(said.join(' '))}`;
}
