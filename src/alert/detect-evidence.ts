import { ALERTS } from './catalog.ts';
import { type Condition, plural, shellWord } from './condition.ts';
import type { AuditLogFact, MeshFacts, SinkFact, TelemetryGap } from './facts.ts';

/** What is wrong with what proves things afterwards. */
export function evidenceConditions(facts: MeshFacts): readonly Condition[] {
  const { telemetry, sinks, auditLogs } = facts;
  return [
    ...(telemetry.failedWrites > 0 ? [notStored(telemetry.failedWrites)] : []),
    ...telemetry.gaps.map(gapCondition),
    ...sinks.filter(({ state }) => state === 'failing').map(sinkCondition),
    ...auditLogs.filter(({ state }) => state === 'failed').map(auditCondition),
  ];
}

function notStored(failedWrites: number): Condition {
  return {
    name: 'records-not-stored',
    severity: ALERTS['records-not-stored'].severity,
    labels: {},
    summary: 'the control plane cannot store access records; enforcement points keep them on disk',
    evidence: [
      { text: `${plural(failedWrites, 'write')} failed in five minutes`, link: '/evidence' },
    ],
    command: 'palisade doctor',
  };
}

function gapCondition({ source, namespace, missing, where }: TelemetryGap): Condition {
  return {
    name: 'telemetry-gap',
    severity: ALERTS['telemetry-gap'].severity,
    labels: { node: source, ...(namespace === null ? {} : { namespace }) },
    summary: `${plural(missing, 'record')} of ${source} never came, and nothing says that they were left out`,
    evidence: [{ text: `missing: ${where}`, link: '/evidence' }],
    command: 'palisade status',
  };
}

function sinkCondition({ name, lagSeconds, lastError }: SinkFact): Condition {
  return {
    name: 'sink-failing',
    severity: ALERTS['sink-failing'].severity,
    labels: { sink: name },
    summary: `the sink ${name} takes nothing: ${lastError ?? 'no reason is known'}`,
    evidence: [{ text: `${Math.round(lagSeconds)} s behind`, link: '/evidence' }],
    command: `palisade sink test ${shellWord(name)}`,
  };
}

function auditCondition({ name, problem }: AuditLogFact): Condition {
  return {
    name: 'audit-broken',
    severity: ALERTS['audit-broken'].severity,
    labels: { log: name },
    summary: `the audit log ${name} does not verify: ${problem ?? 'no reason is known'}`,
    evidence: [{ text: problem ?? 'verification failed', link: '/evidence' }],
    command: 'palisade audit verify --full',
  };
}
