import { X509Certificate } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findPortHolder, type MeshSettings } from '#client';
import { formatDuration } from '#lib';

/** One thing looked at, what was found, and how to mend it. */
export type Finding = {
  readonly name: string;
  readonly good: boolean;
  readonly found: string;
  readonly help: string;
};

const NAMED_FILES = 10;
const MAX_FILES = 20_000;
/** What certificates are forgiven, too. */
const SKEW_MS = 60_000;

/** A finding that nothing is wrong. */
export function fine(name: string, found: string): Finding {
  return { name, good: true, found, help: '' };
}

/** A finding that something is, with what mends it. */
export function wrong(name: string, found: string, help: string): Finding {
  return { name, good: false, found, help };
}

// SECURITY: a key that others can read is not a key any more, and the rest of the folder tells who calls whom.
/** Whether all files below `root` are their owner's alone; `keys` have to be there. */
export function checkFiles(root: string, keys: readonly string[]): readonly Finding[] {
  const missing = keys
    .filter((path) => statSync(path, { throwIfNoEntry: false }) === undefined)
    .map((path) =>
      wrong(
        'key',
        `\`${path}\` is not there`,
        'restore it from a backup: without it nothing can be changed',
      ),
    );
  const files = filesBelow(root);
  const open = files.filter(({ mode }) => (mode & 0o077) !== 0);
  const named = open
    .slice(0, NAMED_FILES)
    .map(({ path, mode }) =>
      wrong('files', `\`${path}\` has mode ${mode.toString(8)}`, `chmod 600 '${path}'`),
    );
  const more = open.length - named.length;
  const rest =
    more > 0
      ? [wrong('files', `${more} more may be read by others`, `chmod -R go= '${root}'`)]
      : [];
  const good = open.length === 0 ? [fine('files', `${files.length}, all their owner's alone`)] : [];
  return [...missing, ...named, ...rest, ...good];
}

/**
 * Whether this machine's clock can be right: not before what was written here, not outside of the client certificate's
 * life, and within a minute of the control plane's (`controlNow`, where one answered at `nowMs`).
 */
export function checkClock(options: {
  readonly root: string;
  readonly certificate: string;
  readonly nowMs: number;
  readonly controlNow?: string | undefined;
}): readonly Finding[] {
  const { nowMs } = options;
  const help = 'set the clock (timedatectl set-ntp true): certificates and policy count by it';
  const newest = Math.max(0, ...filesBelow(options.root).map(({ writtenAt }) => writtenAt));
  const ahead = newest - nowMs;
  const found: Finding[] = [];
  if (ahead > SKEW_MS) {
    const by = formatDuration(ahead);
    found.push(wrong('clock', `it went back: files here were written ${by} from now`, help));
  }
  const certificate = readCertificate(options.certificate);
  if (certificate !== undefined && certificate.validFromDate.getTime() - nowMs > SKEW_MS) {
    found.push(wrong('clock', 'it stands before the client certificate was issued', help));
  }
  if (certificate !== undefined && certificate.validToDate.getTime() < nowMs) {
    const ended = `the client certificate ended at ${certificate.validToDate.toISOString()}`;
    found.push(wrong('clock', ended, `${help}; if it is right, start the mesh again`));
  }
  const apart = options.controlNow === undefined ? 0 : Date.parse(options.controlNow) - nowMs;
  if (Math.abs(apart) > SKEW_MS) {
    const where = apart > 0 ? 'behind' : 'ahead of';
    const by = formatDuration(Math.abs(apart));
    found.push(wrong('clock', `${by} ${where} the control plane's`, help));
  }
  return found.length === 0 ? [fine('clock', new Date(nowMs).toISOString())] : found;
}

/** Who has the ports that the mesh would listen on, while it does not: nothing is wrong where nobody has. */
export function checkPorts(root: string, settings: MeshSettings | undefined): readonly Finding[] {
  const own = new Set(
    ['ca', 'control', 'agent'].map((part) => lockHolder(join(root, part, 'lock'))),
  );
  return portsOf(settings).flatMap((port) => {
    const holder = findPortHolder(port);
    if (holder === undefined || own.has(holder.pid)) return [];
    const who = `process ${holder.pid} (\`${holder.command}\`)`;
    const help =
      'stop it, or let the mesh take other ports: `palisade up --port P` (0 takes free ones)';
    return [wrong('port', `${port} is taken by ${who}`, help)];
  });
}

// The link's text says which process has that part of the folder.
function lockHolder(path: string): number | undefined {
  try {
    return (JSON.parse(readlinkSync(path)) as { readonly pid?: number }).pid;
  } catch {
    // Nobody has it.
    return undefined;
  }
}

const USUAL_PORTS = [7700, 7701, 7702, 7703];

function portsOf(settings: MeshSettings | undefined): readonly number[] {
  if (settings === undefined) return USUAL_PORTS;
  const { api, grpc, ca, console } = settings;
  const named = [api, grpc, ca, console].map((text) => Number(/:(\d{1,5})\/?$/.exec(text)?.[1]));
  return named.filter((port) => port > 0);
}

type File = { readonly path: string; readonly mode: number; readonly writtenAt: number };

// Links (locks) point at nothing, and a socket of the agent may be meant for other users.
function filesBelow(root: string): readonly File[] {
  let names: readonly string[];
  try {
    names = readdirSync(root, { recursive: true, encoding: 'utf8' }).slice(0, MAX_FILES);
  } catch {
    // A part of it is another user's: what that user's doctor looks at.
    return [];
  }
  return names.flatMap((name) => {
    const path = join(root, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat?.isFile() === true
      ? [{ path, mode: stat.mode & 0o777, writtenAt: stat.mtimeMs }]
      : [];
  });
}

function readCertificate(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(path));
  } catch {
    // The session said so already.
    return undefined;
  }
}
