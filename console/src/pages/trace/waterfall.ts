/** A trace as rows on one time axis. Pure. */
import type { ListedRecord } from '../../api/access-record.ts';
import type { Span, Trace } from '../../api/trace.ts';

/** One stretch of the call. */
export type WaterfallRow = {
  readonly id: string;
  readonly depth: number;
  /** What it is: a call as one side saw it, a stage of one, or a span of which no record is left. */
  readonly kind: 'source' | 'destination' | 'decision' | 'tunnel wait' | 'upstream' | 'span';
  /** Where it was measured. */
  readonly service: string;
  readonly words: string;
  /** Microseconds since the first of all. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly record: ListedRecord | undefined;
};

type Node = Omit<WaterfallRow, 'depth'> & { readonly parentId: string | null };

/** Deeper than this a trace calls itself, and indenting says nothing more. */
const MAX_DEPTH = 12;

/** The rows of a trace, each below what called it, in the order of time. */
export function waterfallOf(trace: Trace): readonly WaterfallRow[] {
  const known = new Set(trace.records.map(spanOf));
  const calls = trace.records.map(callNode);
  const lone = trace.spans.filter((span) => isLone(span, known)).map(spanNode);
  const nodes = [...calls, ...lone];
  if (nodes.length === 0) return [];
  const firstUs = Math.min(...nodes.map((node) => node.startUs));
  const ids = new Set(nodes.map((node) => node.id));
  const byParent = Map.groupBy(nodes, (node) =>
    node.parentId !== null && ids.has(node.parentId) && node.parentId !== node.id
      ? node.parentId
      : '',
  );
  const rows: WaterfallRow[] = [];
  const placed = new Set<string>();
  const place = (node: Node, depth: number): void => {
    // A span that names itself as its ancestor is placed once.
    if (placed.has(node.id)) return;
    placed.add(node.id);
    const { parentId: _, ...row } = node;
    rows.push({ ...row, depth, startUs: node.startUs - firstUs });
    rows.push(...stagesOf(node, firstUs).map((stage) => ({ ...stage, depth: depth + 1 })));
    for (const child of inOrder(byParent.get(node.id)))
      place(child, Math.min(MAX_DEPTH, depth + 1));
  };
  for (const node of inOrder(byParent.get(''))) place(node, 0);
  for (const node of nodes) place(node, 0);
  return rows;
}

/** The end of the last row, microseconds after the first began. */
export function lengthOf(rows: readonly WaterfallRow[]): number {
  return Math.max(1, ...rows.map((row) => row.startUs + row.durationUs));
}

function inOrder(nodes: readonly Node[] | undefined): readonly Node[] {
  return (nodes ?? []).toSorted((a, b) => a.startUs - b.startUs || a.id.localeCompare(b.id));
}

/** Both sides of a call may share a span id where the caller's side passed it on. */
function spanOf(record: ListedRecord): string {
  return `${record.span_id ?? record['record.id']} ${record.reporter ?? ''}`;
}

function callNode(record: ListedRecord): Node {
  const isSource = record.reporter === 'source';
  const own = isSource ? record['source.service'] : record['destination.service'];
  const request = [record.method, record.path].filter(Boolean).join(' ') || 'connection';
  return {
    id: record.span_id ?? record['record.id'],
    parentId: record.parent_span_id ?? null,
    kind: isSource ? 'source' : 'destination',
    service: own ?? record.node,
    words: isSource ? `calls ${record['destination.service'] ?? 'outside'}: ${request}` : request,
    startUs: Date.parse(record.time) * 1000,
    durationUs: record.duration_us ?? 0,
    record,
  };
}

/** The stages of a call lie one after the other from its beginning. */
function stagesOf(node: Node, firstUs: number): readonly Omit<WaterfallRow, 'depth'>[] {
  const { record } = node;
  if (record === undefined) return [];
  const stages = [
    ['decision', record.decision_us],
    ['tunnel wait', record.tunnel_wait_us],
    ['upstream', record.upstream_us],
  ] as const;
  let startUs = node.startUs - firstUs;
  return stages.flatMap(([kind, durationUs]) => {
    if (durationUs === undefined || durationUs === null) return [];
    const row = { kind, startUs, durationUs, record, service: node.service, words: kind };
    startUs += durationUs;
    return [{ ...row, id: `${node.id} ${kind}` }];
  });
}

/** A span of a call whose record was not kept. Stages of kept calls are in their records. */
function isLone(span: Span, known: ReadonlySet<string>): boolean {
  const kind = span.kind ?? '';
  if (!['inbound', 'outbound', 'server', 'client'].includes(kind.toLowerCase())) return false;
  return !['source', 'destination', ''].some((side) => known.has(`${span.span_id} ${side}`));
}

function spanNode(span: Span): Node {
  return {
    id: span.span_id,
    parentId: span.parent_span_id ?? null,
    kind: 'span',
    service: span.service ?? span.node ?? 'unknown',
    words: span.name,
    startUs: span.start_us ?? Date.parse(span.start) * 1000,
    durationUs: span.duration_us,
    record: undefined,
  };
}
