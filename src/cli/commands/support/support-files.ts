import { hash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { freemem, platform, release, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { redactText, redactValue } from '#audit';
import { ApiError, type DataFolder, type Session } from '#client';
import { VERSION } from '../../version.ts';
import type { ArchivedFile } from './tar.ts';

/** What a support bundle holds. */
export type SupportFile = {
  readonly name: string;
  /** What it is, in words. */
  readonly about: string;
  readonly text: string;
};

// What people who look into a problem ask for first. Records of calls and the text of policies are not among it.
const QUESTIONS: readonly (readonly [string, string, string])[] = [
  ['mesh.json', '/mesh', 'versions, addresses and settings'],
  ['overview.json', '/overview', 'what the console shows first'],
  ['enforcement-points.json', '/enforcement-points?limit=1000', 'who enforces what'],
  ['policy-sets.json', '/policy-sets', 'namespaces, numbers and hashes; no policy text'],
  ['alerts.json', '/alerts', 'what needs a person'],
  ['sinks.json', '/sinks', 'where evidence goes, and how that goes'],
  ['audit-verification.json', '/audit/verification', 'whether the audit logs are what was signed'],
];
const LOG_BYTES = 512 * 1_024;
const MAX_SIDECARS = 20;
const MAX_LISTED = 5_000;

/** Gathers what a bundle holds; what cannot be had says why in its place. Nothing here opens a file that holds a secret. */
export async function supportFiles(
  dataDir: string,
  session: Session | undefined,
): Promise<SupportFile[]> {
  const files: SupportFile[] = [
    { name: 'versions.json', about: 'of Palisade, Node.js and the system', text: versions() },
    { name: 'data-folder.txt', about: 'names, modes and sizes of files', text: listing(dataDir) },
    {
      name: 'palisade.log',
      about: 'the end of the log',
      text: endOf(join(dataDir, 'palisade.log')),
    },
    ...sidecarLogs(join(dataDir, 'proxies')),
  ];
  if (session === undefined) return files;
  for (const [name, path, about] of QUESTIONS) {
    files.push({ name, about, text: await answer(session, path) });
  }
  return files;
}

function sidecarLogs(folder: string): readonly SupportFile[] {
  const names = existsSync(folder) ? readdirSync(folder).toSorted() : [];
  return names
    .map((name) => ({ name, path: join(folder, name, 'sidecar.log') }))
    .filter(({ path }) => existsSync(path))
    .slice(0, MAX_SIDECARS)
    .map(({ name, path }) => ({
      name: `sidecars/${name}.log`,
      about: "the end of a sidecar's log",
      text: endOf(path),
    }));
}

/** The files as they are packed, redacted, with a manifest that lists them. `nowMs` in Unix milliseconds. */
export function packed(
  files: readonly SupportFile[],
  secrets: readonly string[],
  nowMs: number,
): ArchivedFile[] {
  const contents = files.map(({ name, about, text }) => {
    const content = Buffer.from(withoutSecrets(text, secrets));
    return { name, about, content, atMs: nowMs };
  });
  const manifest = {
    made: new Date(nowMs).toISOString(),
    files: contents.map(({ name, about, content }) => ({
      name,
      about,
      bytes: content.length,
      sha256: hash('sha256', content, 'hex'),
    })),
    left_out: 'keys, tokens, sign-in links, sessions, records of calls, text of policies',
  };
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  return [{ name: 'manifest.json', content: text, atMs: nowMs }, ...contents];
}

/** The secrets of a data folder, piece by piece, to be looked for in what leaves. SECURITY: they stay in memory. */
export function secretsOf({ root }: DataFolder): readonly string[] {
  const pieces = new Set<string>();
  for (const path of filesBelow(root)) {
    if (!SECRET_FILE.test(relative(root, path))) continue;
    for (const piece of textOf(path).split(/\\n|[\s"',:{}[\]]+/)) {
      if (piece.length >= 16 && !piece.startsWith('-----')) pieces.add(piece);
    }
  }
  // A piece that another one is part of goes after it.
  return [...pieces].toSorted((a, b) => b.length - a.length);
}

const SECRET_FILE =
  /(\.key$|^ca\/(join-token|jwt-keys|issuers\/)|(^|\/)identity\.json$|console-sessions\.json$|(^|\/)secrets\/)/;

// Long, of all kinds of characters, and no hash: whatever it is, nobody needs it to understand a problem.
const LOOKS_RANDOM =
  /\b(?=[A-Za-z0-9_-]*[a-z])(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{32,}/g;

function withoutSecrets(text: string, secrets: readonly string[]): string {
  let redacted = text;
  for (const secret of secrets) redacted = redacted.replaceAll(secret, '[redacted:secret]');
  return redactText(redacted).replaceAll(LOOKS_RANDOM, '[redacted:token]');
}

function versions(): string {
  return jsonOf({
    palisade: VERSION,
    node: process.versions.node,
    openssl: process.versions.openssl,
    platform: platform(),
    release: release(),
    arch: process.arch,
    memory_bytes: totalmem(),
    free_bytes: freemem(),
  });
}

async function answer({ api }: Session, path: string): Promise<string> {
  try {
    return jsonOf(redactValue(await api.call<unknown>('GET', path)));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return jsonOf({ error: error.message, code: error.code });
  }
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function listing(root: string): string {
  const lines = filesBelow(root).map((path) => {
    const { mode, size, mtime } = lstatSync(path);
    return `${(mode & 0o777).toString(8)}  ${mtime.toISOString()}  ${size}  ${relative(root, path)}`;
  });
  return `${lines.join('\n')}\n`;
}

function filesBelow(root: string): string[] {
  try {
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .slice(0, MAX_LISTED)
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    // No folder, no files: that is what the listing then says.
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Of another user, or gone by now.
    return '';
  }
}

function endOf(path: string): string {
  const text = textOf(path);
  if (text.length <= LOG_BYTES) return text;
  const end = text.slice(-LOG_BYTES);
  return end.slice(end.indexOf('\n') + 1);
}
