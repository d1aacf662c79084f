import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where everything of one installation lies; all paths absolute. */
export type DataFolder = {
  readonly root: string;
  readonly lock: string;
  readonly meshSettings: string;
  readonly trustRoot: string;
  readonly author: {
    readonly folder: string;
    readonly key: string;
    readonly name: string;
    /** What this author revoked, signed. */
    readonly revocations: string;
  };
  readonly admin: { readonly folder: string; readonly key: string; readonly certificate: string };
  readonly ca: {
    readonly folder: string;
    readonly joinTokenAgent: string;
    readonly joinTokenControl: string;
  };
  readonly control: { readonly folder: string; readonly admins: string };
  readonly agent: {
    readonly folder: string;
    readonly socket: string;
    /** What the agent enforces, signed. */
    readonly revocations: string;
  };
  readonly proxies: string;
};

/** The data folder named by `--data` or `PALISADE_DATA`, else the XDG state folder's `palisade`. */
export function defaultDataDir(env: NodeJS.ProcessEnv): string {
  if (env['PALISADE_DATA']) return resolve(env['PALISADE_DATA']);
  const state = env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  return join(state, 'palisade');
}

/** The layout below `root`; nothing is created. */
export function layoutOf(root: string): DataFolder {
  const at = (...parts: string[]) => join(resolve(root), ...parts);
  return {
    root: at(),
    lock: at('lock'),
    meshSettings: at('mesh.json'),
    trustRoot: at('trust-root.json'),
    author: {
      folder: at('author'),
      key: at('author', 'policy-author.key'),
      name: at('author', 'name'),
      revocations: at('author', 'revocations.jsonl'),
    },
    admin: {
      folder: at('admin'),
      key: at('admin', 'client.key'),
      certificate: at('admin', 'client.crt'),
    },
    ca: {
      folder: at('ca'),
      joinTokenAgent: at('ca', 'join-token-agent'),
      joinTokenControl: at('ca', 'join-token-control'),
    },
    control: { folder: at('control'), admins: at('control', 'admins.json') },
    agent: {
      folder: at('agent'),
      socket: at('agent', 'agent.sock'),
      revocations: at('agent', 'revocations.jsonl'),
    },
    proxies: at('proxies'),
  };
}
