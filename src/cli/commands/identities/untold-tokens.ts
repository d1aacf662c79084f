import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DataFolder, openSession, type Session } from '#client';
import type { Globals } from '../../globals.ts';

/** That a join token was made: never the token itself. `expiresAt` is ISO 8601. */
export type MadeToken = { readonly id: string; readonly host: string; readonly expiresAt: string };

const FILE = 'untold-join-tokens.json';
const MAX_UNTOLD = 1_000;
const TELL_MS = 2_000;

/** Tells the authority, through the control plane, of a token; undefined, or why that could not be: then it is kept to be told. */
export async function tellOrKeep(
  folder: DataFolder,
  { dataDir, server }: Pick<Globals, 'dataDir' | 'server'>,
  made: MadeToken,
): Promise<string | undefined> {
  const session = openSession({ dataDir, server });
  const failed = session.ok ? await tell(session.value, made) : session.error;
  if (failed !== undefined) write(folder, [...read(folder), made]);
  return failed;
}

/** Tells what could not be told before; resolves to what still cannot be and has not expired. Never rejects. */
export async function tellUntold(session: Session, nowMs: number): Promise<readonly MadeToken[]> {
  const { folder } = session;
  const untold = read(folder);
  if (untold.length === 0) return [];
  const left: MadeToken[] = [];
  for (const made of untold) {
    const isOver = !(Date.parse(made.expiresAt) > nowMs);
    if (isOver) continue;
    // One that fails says what the next would say.
    if (left.length > 0 || (await tell(session, made)) !== undefined) left.push(made);
  }
  write(folder, left);
  return left;
}

async function tell({ api }: Session, made: MadeToken): Promise<string | undefined> {
  try {
    await api.call('POST', '/join-tokens', { body: made, timeoutMs: TELL_MS });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function read({ author }: DataFolder): readonly MadeToken[] {
  try {
    const kept: unknown = JSON.parse(readFileSync(join(author.folder, FILE), 'utf8'));
    return Array.isArray(kept) ? kept.filter(isMade) : [];
  } catch {
    // None was ever kept, or somebody damaged the list: it is only a list.
    return [];
  }
}

function write({ author }: DataFolder, made: readonly MadeToken[]): void {
  try {
    const text = JSON.stringify(made.slice(-MAX_UNTOLD));
    writeFileSync(join(author.folder, FILE), text, { mode: 0o600 });
  } catch {
    // A full disk: the token is as good as any, and in no list.
  }
}

function isMade(value: unknown): value is MadeToken {
  const { id, host, expiresAt } = (value ?? {}) as Record<string, unknown>;
  return [id, host, expiresAt].every((each) => typeof each === 'string');
}
