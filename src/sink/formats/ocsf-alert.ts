import type { AlertEvidence } from '../evidence.ts';
import { OCSF_CLASS, ocsfHead } from './ocsf-class.ts';
import { compact, type FormatAuthor } from './plain-text.ts';
import { summaryOf } from './summary.ts';

/** An alert as OCSF. */
export function ocsfAlert(item: AlertEvidence, author: FormatAuthor): Record<string, unknown> {
  const { value: alert } = item;
  const isOver = alert.state === 'resolved';
  const time =
    (isOver ? alert.ends_at : alert.starts_at) ?? alert.starts_at ?? '1970-01-01T00:00:00Z';
  const startsAt = alert.starts_at === null ? undefined : Date.parse(alert.starts_at);
  return {
    ...ocsfHead(
      {
        class: OCSF_CLASS.detectionFinding,
        activity: isOver ? [3, 'Close'] : [1, 'Create'],
        severity: alert.severity === 'page' ? 'High' : 'Medium',
        time,
        id: item.id,
        log: 'alert',
        message: summaryOf(item),
      },
      author,
    ),
    status_id: isOver ? 4 : 1,
    status: isOver ? 'Resolved' : 'New',
    is_alert: true,
    start_time: startsAt,
    end_time: alert.ends_at === null ? undefined : Date.parse(alert.ends_at),
    finding_info: {
      uid: alert.id,
      title: alert.name,
      desc: [alert.summary, alert.likely_cause].filter((text) => text !== '').join(': '),
      created_time: startsAt,
      types: [alert.severity],
      product: { name: 'Palisade', vendor_name: 'Palisade', version: author.version },
    },
    evidences: alert.evidence.map(({ text, link }) => ({ data: compact({ text, link }) })),
    remediation: {
      desc: alert.command === '' ? alert.likely_cause : `run \`${alert.command}\``,
      references: alert.runbook === '' ? [] : [alert.runbook],
    },
    unmapped: alert.labels,
  };
}
