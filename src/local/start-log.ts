import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { createLog, type Log } from '#telemetry';
import { openBoundedFile } from './bounded-file.ts';
import { createNotices, type Notice } from './sidecar-notices.ts';

// The log of a mesh, and that of one of its sidecars, of which there may be many.
const MESH_LOG_BYTES = 8 * 1024 * 1024;
const SIDECAR_LOG_BYTES = 1024 * 1024;

/** A log of a long-running process: to standard error, or to `palisade.log` in `folder` where people look at a terminal. */
export function createProcessLog(options: {
  readonly name: string;
  readonly verbose: boolean;
  readonly folder?: string;
}): Log {
  const level = options.verbose ? 'debug' : 'info';
  if (options.folder === undefined) return createLog({ name: options.name, level });
  const destination = openBoundedFile(join(options.folder, 'palisade.log'), MESH_LOG_BYTES);
  return createLog({ name: options.name, level, destination });
}

/** Opens a proxy's log in its folder: to standard error, or as `createSidecarLog` where that is its application's. */
export function openProxyLog(
  of: { readonly namespace: string; readonly service: string; readonly verbose: boolean },
  isUnderRun: boolean,
): (folder: string) => Log {
  const { service, verbose } = of;
  const name = `proxy ${of.namespace}/${service}`;
  if (!isUnderRun) return () => createProcessLog({ name, verbose });
  const stderr = { write: tellTerminal };
  return (folder) => createSidecarLog({ name, service, verbose, folder, stderr, clock: Date.now });
}

function tellTerminal(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody reads it any more, or too slowly: a sidecar does not end or wait for that.
  }
}

/** Where the log of a sidecar under `palisade run` is, in its own folder. */
export function sidecarLogPath(folder: string): string {
  return join(folder, 'sidecar.log');
}

/**
 * The log of a sidecar under `palisade run`: to a file in `folder`. On `stderr`, which is the application's too, comes only
 * what a person has to act on, in words; with `verbose` all of it, as it is in the file.
 */
export function createSidecarLog(options: {
  readonly name: string;
  readonly service: string;
  readonly verbose: boolean;
  readonly folder: string;
  readonly stderr: { readonly write: (text: string) => unknown };
  /** Unix milliseconds. */
  readonly clock: () => number;
}): Log {
  const { stderr, service } = options;
  const path = sidecarLogPath(options.folder);
  const file = openBoundedFile(path, SIDECAR_LOG_BYTES);
  const noticeOf = createNotices(options.clock);
  const write = (line: string): void => {
    file.write(line);
    const notice = options.verbose ? undefined : noticeOf(line);
    if (options.verbose) stderr.write(line);
    else if (notice !== undefined) stderr.write(textOf(notice, service, path));
  };
  const level = options.verbose ? 'debug' : 'info';
  return createLog({ name: options.name, level, destination: { write } });
}

function textOf({ text, help }: Notice, service: string, path: string): string {
  const next = help === undefined ? '' : `  help: ${help}; its log is ${path}\n`;
  return `palisade: the sidecar of ${service} ${text}\n${next}`;
}
