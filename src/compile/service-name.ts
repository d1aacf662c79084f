import { fail, ok, type Result } from '#lib';

/** A service as named by a person; `host` is what a caller would put into the Host header. */
export type ServiceName = {
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly port: number | undefined;
};

/** Parses `NAME`, `NAMESPACE/NAME`, `NAME.NS`, `NAME.NS.svc` and `NAME.NS.svc.TRUST-DOMAIN`, each with or without `:port`. */
export function parseServiceName(
  text: string,
  namespace: string,
  trustDomain: string,
): Result<ServiceName, string> {
  const match = /^(?<host>[^:]+)(?::(?<port>\d{1,5}))?$/.exec(text);
  const written = match?.groups?.['host']?.toLowerCase();
  if (match === null || written === undefined) return fail(wrong(text));
  const portText = match.groups?.['port'];
  const port = portText === undefined ? undefined : Number(portText);
  const slash = written.split('/');
  const [first = '', second] = slash;
  if (slash.length > 2) return fail(wrong(text));
  const host = second === undefined ? first : `${second}.${first}`;
  const [name = '', ns = namespace, svc, ...domain] = host.split('.');
  if (!LABEL.test(name) || !LABEL.test(ns)) return fail(wrong(text));
  if (svc !== undefined && svc !== 'svc') return fail(wrong(text));
  if (domain.length > 0 && domain.join('.') !== trustDomain) return fail(wrong(text));
  return ok({ namespace: ns, name, host, port });
}

// RFC 1123, section 2.1: a host label.
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function wrong(text: string): string {
  return `\`${text.slice(0, 80)}\` does not name a service: write NAME, NAMESPACE/NAME or NAME.NAMESPACE`;
}
