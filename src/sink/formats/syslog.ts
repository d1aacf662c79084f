import type { SinkSyslog } from '#resource';
import { type Evidence, isServerFailure } from '../evidence.ts';

/** Who a syslog message says that it is from. */
export type SyslogOrigin = Pick<SinkSyslog, 'facility' | 'appName'> & { readonly hostname: string };

// RFC 5424 table 1.
const FACILITY: Readonly<Record<SinkSyslog['facility'], number>> = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  audit: 13,
  alert: 14,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
};
// RFC 5424 table 2.
const SEVERITY = { critical: 2, error: 3, warning: 4, notice: 5, informational: 6 } as const;
const MSGID = {
  records: 'access',
  traces: 'access',
  audit: 'audit',
  alerts: 'alert',
  metrics: 'metrics',
};

/**
 * An RFC 5424 message with `line`, which holds no control character, as its MSG. No structured data: what there is to
 * say is in the line. No byte order mark either (6.4 wants one before UTF-8): readers of CEF take it for text.
 */
export function syslogMessage(item: Evidence, line: string, origin: SyslogOrigin): Buffer {
  const priority = FACILITY[origin.facility] * 8 + SEVERITY[severityOf(item)];
  const fields = [
    `<${priority}>1`,
    timeOf(item),
    printUsAscii(origin.hostname, 255),
    printUsAscii(origin.appName, 48),
    '-',
    MSGID[item.kind],
    '-',
  ];
  return Buffer.from(`${fields.join(' ')} ${line}`, 'utf8');
}

/** Octet counting (RFC 5425 section 4.3, RFC 6587 section 3.4.1), which no content can break out of. */
export function frameSyslog(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `, 'latin1'), message]);
}

function severityOf(item: Evidence): keyof typeof SEVERITY {
  if (item.kind === 'audit') return item.value.result === 'ok' ? 'notice' : 'warning';
  if (item.kind === 'alerts') {
    if (item.value.state === 'resolved') return 'notice';
    return item.value.severity === 'page' ? 'critical' : 'error';
  }
  if (item.kind === 'metrics') return 'informational';
  if (item.value.verdict === 'deny') return 'warning';
  return isServerFailure(item.value) ? 'error' : 'informational';
}

// RFC 5424 section 6.2.3: RFC 3339 with upper-case T and Z, at most microseconds; `-` where there is none.
function timeOf(item: Evidence): string {
  const { value } = item;
  const time = 'time' in value ? value.time : (value.ends_at ?? value.starts_at);
  return time !== null && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(time) ? time : '-';
}

// PRINTUSASCII of RFC 5424 section 6; `-` is the NILVALUE.
function printUsAscii(text: string, length: number): string {
  const fit = text.replaceAll(/[^!-~]/g, '').slice(0, length);
  return fit === '' ? '-' : fit;
}
