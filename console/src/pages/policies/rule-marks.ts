/** What is said beside a policy's lines: how often each rule decided, and which are dead or wide. */

import type { PolicyFinding, PolicyHit, ResourceEntry } from '../../api/policy-set.ts';
import { formatAgo, formatNoun, toMs } from '../../words/format.ts';
import { ruleLines } from './rule-lines.ts';

/** Words beside a line; `tone` where somebody should look. */
export type LineMark = { readonly words: string; readonly tone?: 'stale' | 'failing' };

/** What is known of rules; undefined while it is not. */
export type RuleFacts = {
  /** Of the last day. */
  readonly hits: readonly PolicyHit[] | undefined;
  /** Of as long as records are kept. */
  readonly allHits: readonly PolicyHit[] | undefined;
  readonly findings: readonly PolicyFinding[] | undefined;
};

/** A rule without a call for less than this is new, not dead. */
const NEW_MS = 3_600_000;

const FINDING_WORDS: Readonly<Record<string, string>> = {
  wide_rule: 'wide: lets anybody in',
  wide_wildcard: 'wide: fits other namespaces',
  unknown_principal: 'nobody has this identity',
};

/** The marks of a resource, by line from 1; none for what has no rules or no text of its author. */
export function lineMarks(
  entry: ResourceEntry,
  facts: RuleFacts,
  nowMs: number,
): ReadonlyMap<number, readonly LineMark[]> {
  const marks = new Map<number, LineMark[]>();
  const put = (line: number, mark: LineMark): void => {
    marks.set(line, [...(marks.get(line) ?? []), mark]);
  };
  if (entry.source === null || entry.kind !== 'AuthorizationPolicy') return marks;
  for (const { line, code } of findingsOf(entry, facts.findings)) {
    put(line, { words: FINDING_WORDS[code] ?? code.replaceAll('_', ' '), tone: 'failing' });
  }
  // What is in dry-run decides nothing: its own view says what it would.
  if (facts.hits === undefined || facts.allHits === undefined || isDryRun(entry)) return marks;
  for (const [rule, line] of ruleLines(entry.source).entries()) {
    put(line, hitMark(entry, { rule, hits: facts.hits, allHits: facts.allHits, nowMs }));
  }
  return marks;
}

/** The findings of one resource. */
export function findingsOf(
  entry: ResourceEntry,
  findings: readonly PolicyFinding[] | undefined,
): readonly PolicyFinding[] {
  return findings?.filter(({ key }) => key === entry.key) ?? [];
}

function hitMark(
  entry: ResourceEntry,
  of: {
    readonly rule: number;
    readonly hits: readonly PolicyHit[];
    readonly allHits: readonly PolicyHit[];
    readonly nowMs: number;
  },
): LineMark {
  const isOwn = (hit: PolicyHit): boolean =>
    hit.policy === `${entry.namespace}/${entry.name}` && Number(hit.rule) === of.rule;
  const count = of.hits.filter(isOwn).reduce((sum, hit) => sum + hit.count, 0);
  if (count > 0) return { words: `${formatNoun(count, 'call')} in 24 h` };
  const changedMs = toMs(entry.time) ?? 0;
  // A rule's number may have been another rule's before the last change.
  const last = of.allHits
    .filter(isOwn)
    .map((hit) => toMs(hit.last) ?? 0)
    .filter((at) => at >= changedMs);
  if (last.length > 0) {
    return { words: `no call in 24 h, the last ${formatAgo(Math.max(...last), of.nowMs)}` };
  }
  const isNew = of.nowMs - changedMs < NEW_MS;
  if (isNew || actionOf(entry) !== 'ALLOW') return { words: 'no call yet' };
  return { words: 'dead: no call on record', tone: 'stale' };
}

type Written = {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: { readonly action?: string };
};

function isDryRun({ resource }: ResourceEntry): boolean {
  return (resource as Written | null)?.metadata?.annotations?.['istio.io/dry-run'] === 'true';
}

function actionOf({ resource }: ResourceEntry): string {
  return (resource as Written | null)?.spec?.action ?? 'ALLOW';
}
