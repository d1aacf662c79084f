import { ALERTS, type AlertName } from './catalog.ts';
import { type Condition, shellWord } from './condition.ts';
import type { PointFact } from './facts.ts';

const CERTIFICATE_NOTICE_MS = 5 * 60_000;
const LINK = '/enforcement';

/** What is wrong with one enforcement point. */
export function pointConditions(point: PointFact, nowMs: number): readonly Condition[] {
  return [
    ...policyConditions(point),
    ...stateConditions(point),
    ...workloadConditions(point),
    ...certificateConditions(point, nowMs),
  ];
}

function policyConditions(point: PointFact): readonly Condition[] {
  if (point.refused.length > 0) {
    const evidence = point.refused.map(({ namespace, number, code, message }) => ({
      text: `version ${number} of ${namespace}: ${code}: ${message}`,
      link: LINK,
    }));
    const summary = `${point.node} ${point.reason}`;
    return [{ ...about(point, 'policy-refused'), summary, evidence, command: 'palisade status' }];
  }
  if (!point.connected) {
    const summary = `${point.node} is ${point.reason}; it enforces what it has`;
    return [simple(point, 'enforcement-point-lost', { summary, proof: point.reason })];
  }
  if (!point.stale) return [];
  const summary = `${point.node} ${point.reason}`;
  return [simple(point, 'enforcement-point-stale', { summary, proof: point.reason })];
}

function stateConditions(point: PointFact): readonly Condition[] {
  if (!point.connected) return [];
  const found: Condition[] = [];
  if (!point.ready) {
    const summary = `${point.node} is not ready: ${point.readyReason}`;
    found.push(simple(point, 'enforcement-point-not-ready', { summary, proof: point.readyReason }));
  }
  if (point.ready && !point.revocationsCurrent) {
    const summary = `${point.node} does not enforce every revocation`;
    found.push({
      ...simple(point, 'revocation-behind', { summary, proof: 'its digest of them is another' }),
      command: 'palisade identity list --revoked',
    });
  }
  return found;
}

function workloadConditions(point: PointFact): readonly Condition[] {
  const found = point.troubled.map(({ namespace, service, address, health }): Condition => {
    const kind = about(point, 'endpoint-unhealthy');
    return {
      ...kind,
      labels: { ...kind.labels, endpoint: `${namespace}/${service} ${address}` },
      summary: `${point.node} finds ${namespace}/${service} at ${address} ${health}`,
      evidence: [{ text: `${address} is ${health}`, link: LINK }],
      command: `palisade log --to=${shellWord(service)} --since 5m`,
    };
  });
  if (point.exposed.length === 0) return found;
  const where = point.exposed.join(', ');
  const summary = `${point.node} is gone around by who reaches its application at ${where}`;
  return [...found, simple(point, 'sidecar-bypassed', { summary, proof: `listens on ${where}` })];
}

function certificateConditions(point: PointFact, nowMs: number): readonly Condition[] {
  const leftMs = Date.parse(point.certificateExpiresAt ?? '') - nowMs;
  if (!point.connected || !(leftMs < certificateNoticeMs(point, CERTIFICATE_NOTICE_MS))) return [];
  const summary = `${point.node} has a certificate until ${point.certificateExpiresAt} that was not renewed`;
  const proof = `certificate until ${point.certificateExpiresAt}`;
  const condition = simple(point, 'certificate-expiring', { summary, proof });
  return [{ ...condition, command: 'palisade ca status' }];
}

function simple(
  point: PointFact,
  name: AlertName,
  { summary, proof }: { readonly summary: string; readonly proof: string },
): Condition {
  const evidence = [{ text: `${point.node}: ${proof}`, link: LINK }];
  return { ...about(point, name), summary, evidence, command: 'palisade status' };
}

function about({ node, namespace, service }: PointFact, name: AlertName) {
  const labels = {
    node,
    ...(namespace === null ? {} : { namespace }),
    ...(service === null ? {} : { service }),
  };
  return { name, severity: ALERTS[name].severity, labels };
}

/** Renewal begins at half life, so a certificate of a few minutes is not late before a quarter of it is left. */
export function certificateNoticeMs(
  { certificateLifeMs }: Pick<PointFact, 'certificateLifeMs'>,
  atMostMs: number,
): number {
  return Math.min(atMostMs, (certificateLifeMs ?? Number.POSITIVE_INFINITY) / 4);
}
