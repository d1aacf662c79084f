import { ok, type Result } from '#lib';
import { readSecret } from './secrets.ts';
import type { Surroundings } from './surroundings.ts';

/** Options of Node.js' TLS for one connection. */
export type TlsOptions = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly minVersion: 'TLSv1.2';
  readonly rejectUnauthorized: true;
};

/** What a connection to the receiver is made with; the key is read anew, so that it can be replaced in place. */
export function readTls({ tls, secrets }: Surroundings): Result<TlsOptions, string> {
  const base = { minVersion: 'TLSv1.2', rejectUnauthorized: true } as const;
  const ca = tls?.ca === undefined ? {} : { ca: tls.ca };
  if (tls?.certificate === undefined || tls.key === undefined) return ok({ ...base, ...ca });
  const key = readSecret(secrets, tls.key);
  return key.ok ? ok({ ...base, ...ca, cert: tls.certificate, key: key.value }) : key;
}
