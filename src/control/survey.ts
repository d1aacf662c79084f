import type { Condition } from '#alert';
import type { TrustDomain } from '#identity';
import type { RecordStore } from '#record-store';
import type { Enforcement, PointStatus } from './enforcement.ts';
import type { IssuanceReader } from './issuance.ts';
import { isPlaintext, type MapEdge, type MapSeries, type TrafficMap } from './map.ts';
import type { PolicySets } from './policy-sets.ts';

/** Something that needs a person: `page` now, `ticket` this week, `info` to know. */
export type SurveyProblem = {
  readonly severity: 'page' | 'ticket' | 'info';
  readonly sentence: string;
  readonly command: string | null;
};

/** Whether everything is all right. */
export type Survey = {
  readonly sentence: string;
  /** Worst first. */
  readonly problems: readonly SurveyProblem[];
  readonly counts: SurveyCounts;
  readonly series: MapSeries;
};

type SurveyCounts = {
  readonly services: number;
  readonly namespaces: number;
  readonly policies: number;
  readonly proxies: number;
  readonly proxiesConnected: number;
  readonly stale: number;
  readonly refusing: number;
  readonly edges: number;
  readonly edgesEncrypted: number;
  readonly denialsLastHour: number;
  readonly identities: number;
};

/** What a survey looks at; `clock` in ms since 1970. */
export type Surveyed = {
  readonly trustDomain: TrustDomain;
  readonly sets: PolicySets;
  readonly enforcement: Enforcement;
  readonly map: TrafficMap;
  readonly records: RecordStore;
  readonly issuance: IssuanceReader;
  readonly clock: () => number;
};

const HOUR_MS = 3_600_000;
const MAX_PROBLEMS = 100;
const SEVERITIES = ['page', 'ticket', 'info'] as const;

/** Looks at everything once; `conditions` is what needs a person. */
export async function survey(of: Surveyed, conditions: readonly Condition[]): Promise<Survey> {
  const points = of.enforcement.status();
  const edges = of.map.edges().filter((edge) => edge.requests > 0);
  const denialsLastHour = await of.records.countDenied(of.clock() - HOUR_MS);
  const counts = { ...countAll(of, points, edges), denialsLastHour };
  const problems = conditions.map(({ severity, summary: sentence, command }) => ({
    severity,
    sentence,
    command,
  }));
  return {
    sentence: sentenceOf(counts, problems),
    problems: problems
      .sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
      .slice(0, MAX_PROBLEMS),
    counts,
    series: of.map.series(),
  };
}

function countAll(
  of: Surveyed,
  points: readonly PointStatus[],
  edges: readonly MapEdge[],
): Omit<SurveyCounts, 'denialsLastHour'> {
  const sets = of.sets.all();
  const countKind = (kind: string) =>
    sets.reduce(
      (sum, set) => sum + [...set.resources.keys()].filter((key) => key.startsWith(kind)).length,
      0,
    );
  const proxies = points.filter((point) => point.kind === 'proxy');
  return {
    services: countKind('Service/'),
    namespaces: sets.length,
    policies: countKind('AuthorizationPolicy/'),
    proxies: proxies.length,
    proxiesConnected: proxies.filter((point) => point.connected).length,
    stale: points.filter((point) => point.stale).length,
    refusing: points.filter((point) => point.refused.length > 0).length,
    edges: edges.length,
    edgesEncrypted: edges.filter((edge) => !isPlaintext(edge)).length,
    identities: of.issuance.identities().filter((identity) => identity.current).length,
  };
}

function sentenceOf(counts: SurveyCounts, problems: readonly SurveyProblem[]): string {
  const { services, edges, edgesEncrypted, stale, proxiesConnected } = counts;
  if (services === 0 && proxiesConnected === 0)
    return 'no services yet: `palisade run --service NAME -- CMD` starts one';
  const plain = edges - edgesEncrypted;
  const encrypted = edges === 0 ? 'no calls yet' : 'every edge encrypted';
  const parts = [
    plural(services, 'service'),
    plain === 0 ? encrypted : `${plural(plain, 'edge')} in plaintext`,
    stale === 0
      ? 'every enforcement point up to date'
      : `${plural(stale, 'enforcement point')} stale`,
  ];
  const urgent = problems.filter((problem) => problem.severity === 'page').length;
  if (urgent > 0) parts.push(`${plural(urgent, 'problem')} to look at now`);
  return parts.join(', ');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
