import { fail, ok, type Result } from '#lib';
import { collectClaim } from '../../flags.ts';
import type { CallQuestion } from './call-question.ts';

const STRINGS = [
  'from',
  'to',
  'method',
  'path',
  'source-ip',
  'sourceIp',
  'remote-ip',
  'remoteIp',
  'destination-ip',
  'destinationIp',
  'attestation',
  'sni',
  'at',
];
const PAIRS = ['header', 'headers', 'label', 'labels'];
const CLAIMS = ['claim', 'claims'];
const NAMES = [...STRINGS, ...PAIRS, ...CLAIMS, 'port'];

/** Reads one line of `check --batch`: a JSON object with the names of the flags. Unknown names are an error. */
export function parseBatchLine(text: string): Result<CallQuestion, string> {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return fail('the line is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail('the line is not a JSON object');
  const unknown = Object.keys(value).filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) return fail(`unknown name \`${unknown[0]}\`: use ${NAMES.join(', ')}`);
  const wrong = STRINGS.find(
    (name) => value[name] !== undefined && value[name] !== null && typeof value[name] !== 'string',
  );
  if (wrong !== undefined) return fail(`\`${wrong}\` is not a string`);
  if (typeof value['to'] !== 'string') return fail('`to` is missing');
  const port = value['port'] ?? undefined;
  if (
    port !== undefined &&
    !(Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536)
  ) {
    return fail('`port` is not a port number');
  }
  const headers = pairsOf(value['header'] ?? value['headers'] ?? undefined);
  if (!headers.ok) return fail(`\`header\` ${headers.error}`);
  const labels = pairsOf(value['label'] ?? value['labels'] ?? undefined);
  if (!labels.ok) return fail(`\`label\` ${labels.error}`);
  const claims = claimsOf(value['claim'] ?? value['claims'] ?? undefined);
  if (!claims.ok) return fail(`\`claim\` ${claims.error}`);
  const string = (name: string) => (value[name] ?? undefined) as string | undefined;
  return ok({
    from: string('from'),
    to: value['to'],
    method: string('method'),
    path: string('path'),
    sourceIp: string('source-ip') ?? string('sourceIp'),
    remoteIp: string('remote-ip') ?? string('remoteIp'),
    destinationIp: string('destination-ip') ?? string('destinationIp'),
    attestation: string('attestation'),
    sni: string('sni'),
    at: string('at'),
    port: port as number | undefined,
    headers: headers.value,
    claims: claims.value,
    labels: labels.value,
  });
}

// A token's payload as an object, or `NAME=VALUE` in one string or several, as the flag is written.
function claimsOf(value: unknown): Result<Readonly<Record<string, unknown>> | undefined, string> {
  if (value === undefined) return ok(undefined);
  const words = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(words)) {
    if (typeof words !== 'object' || words === null) return fail('is not an object');
    return ok(words as Readonly<Record<string, unknown>>);
  }
  let claims: Readonly<Record<string, unknown>> = {};
  for (const word of words) {
    try {
      claims = collectClaim(String(word), claims);
    } catch {
      // The flag's own complaint is for a command line; a batch line gets the sentence below.
      return fail('is not a list of NAME=VALUE');
    }
  }
  return ok(claims);
}

// An object of strings, or `K=V` in one string or several, as the flags are written.
function pairsOf(value: unknown): Result<Record<string, string> | undefined, string> {
  if (value === undefined) return ok(undefined);
  const words = typeof value === 'string' ? [value] : value;
  if (Array.isArray(words)) {
    const pairs = words.map((word) =>
      typeof word === 'string' ? /^([^=]+)=(.*)$/s.exec(word) : null,
    );
    if (pairs.includes(null)) return fail('is not a list of KEY=VALUE');
    return ok(Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? ''])));
  }
  if (typeof words !== 'object' || words === null) return fail('is not an object of strings');
  const entries = Object.entries(words);
  if (entries.some(([, text]) => typeof text !== 'string'))
    return fail('is not an object of strings');
  return ok(Object.fromEntries(entries) as Record<string, string>);
}
