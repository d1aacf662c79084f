import type { SinkEvidence, SinkRecordFilter } from '#resource';
import type { Evidence, ReportedRecord } from './evidence.ts';
import { isTraced } from './formats/otlp-traces.ts';

/** Whether a sink that asked for `wanted` gets this item. */
export function matches(wanted: SinkEvidence, item: Evidence): boolean {
  if (item.kind === 'records') {
    return wanted.records !== undefined && matchesRecord(wanted.records, item.value);
  }
  if (item.kind === 'traces') {
    return (
      wanted.traces !== undefined &&
      isTraced(item.value) &&
      matchesRecord(wanted.traces, item.value)
    );
  }
  if (item.kind === 'audit') {
    return wanted.audit !== undefined && matchesAction(wanted.audit.actions, item.value.action);
  }
  if (item.kind === 'alerts') {
    return wanted.alerts !== undefined && includes(wanted.alerts.severities, item.value.severity);
  }
  return wanted.metrics !== undefined;
}

function matchesRecord(filter: SinkRecordFilter, record: ReportedRecord): boolean {
  const namespace = record['destination.namespace'] ?? '';
  const service = record['destination.service'] ?? '';
  return (
    includes(filter.verdicts, record.verdict) &&
    includes(filter.kinds, record.kind) &&
    includes(filter.reporters, record.reporter) &&
    includes(filter.namespaces, namespace) &&
    (filter.services === undefined ||
      filter.services.includes(service) ||
      filter.services.includes(`${namespace}/${service}`))
  );
}

function matchesAction(actions: readonly string[] | undefined, action: string): boolean {
  return (
    actions === undefined ||
    actions.some((wanted) =>
      wanted.endsWith('.*') ? action.startsWith(wanted.slice(0, -1)) : action === wanted,
    )
  );
}

// A list that is absent is no condition.
function includes<T>(list: readonly T[] | undefined, value: T): boolean {
  return list === undefined || list.includes(value);
}
