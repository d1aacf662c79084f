import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '#lib';
import type { SinkHeader, SinkSecret } from '#resource';

/** Where the texts are that resources only refer to. */
export type SecretSource = {
  /** Holds one file a secret. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

const MAX_BYTES = 64 * 1024;

/**
 * Reads a secret, without the newline at its end. Read at each use, so that a changed file counts at once. The error
 * names the reference and nothing of the text.
 */
export function readSecret(source: SecretSource, reference: SinkSecret): Result<string, string> {
  if ('env' in reference) {
    const { env } = reference;
    const value = source.env[env];
    if (value === undefined || value === '') return fail(`the variable \`${env}\` is not set`);
    return ok(value);
  }
  const { file } = reference;
  // SECURITY: whoever signs resources must not read any other file of this host: `file` was parsed as a bare name.
  const path = join(source.folder, file);
  try {
    if (statSync(path).size > MAX_BYTES) return fail(`the secret \`${file}\` is too large`);
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? fail(`the secret \`${file}\` is empty`) : ok(text);
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    // The folder is named as the guide does: whoever asks may be on another host, and need not know its paths.
    if (code === 'ENOENT')
      return fail(`there is no secret: put it into \`control/sinks/secrets/${file}\``);
    return fail(`the secret \`${file}\` cannot be read (${code})`);
  }
}

/** The headers of a request, secrets filled in. */
export function readHeaders(
  source: SecretSource,
  headers: Readonly<Record<string, SinkHeader>> = {},
): Result<Readonly<Record<string, string>>, string> {
  const read: Record<string, string> = {};
  for (const [name, header] of Object.entries(headers)) {
    const value = 'value' in header ? ok(header.value) : readSecret(source, header);
    if (!value.ok) return value;
    // SECURITY: a newline in a secret would write headers of its own.
    if (!/^[\t -~]*$/.test(value.value))
      return fail(`the value of \`${name}\` cannot be sent in a header`);
    read[name.toLowerCase()] = value.value;
  }
  return ok(read);
}

/**
 * Text of a receiver without what it was sent in secret. SECURITY: one that repeats the request in its error would have
 * our credentials shown in status, metrics and logs.
 */
export function withoutSecrets(text: string, secrets: Readonly<Record<string, string>>): string {
  let clean = text;
  for (const value of Object.values(secrets)) {
    // `Bearer TOKEN` may come back without its first word.
    for (const part of [value, ...value.split(' ')]) {
      if (part.length >= 4) clean = clean.replaceAll(part, '[redacted]');
    }
  }
  return clean;
}
