import type { Evidence } from '../evidence.ts';
import { safeJson } from './plain-text.ts';

/** One line, without its newline: the item as the reference describes it, with its id and what kind of evidence it is. */
export function jsonLine(item: Evidence): string {
  return safeJson(plain(item));
}

/** The body of one delivery of a webhook: several items, whichever format wrote them. */
export function jsonDelivery(
  batch: readonly Evidence[],
  delivery: { readonly id: string; readonly sink: string },
  write: (item: Evidence) => string = jsonLine,
): string {
  const { id, sink } = delivery;
  const head = safeJson({ id, sink, evidence: batch[0]?.kind, count: batch.length });
  return `${head.slice(0, -1)},"items":[${batch.map(write).join(',')}]}`;
}

function plain({ kind, id, value }: Evidence): Record<string, unknown> {
  return { evidence: kind, ...value, id };
}
