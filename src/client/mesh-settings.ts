import { readFileSync } from 'node:fs';
import { fail, ok, type Result } from '#lib';
import type { DataFolder } from './data-folder.ts';
import { shownPath } from './file-problem.ts';

/** What a data folder names of its mesh, so that commands need no flags. */
export type MeshSettings = {
  readonly trustDomain: string;
  /** API base URL, e.g. `https://127.0.0.1:7700`. */
  readonly api: string;
  /** `host:port` of the Distribution service. */
  readonly grpc: string;
  /** `host:port` of the CA. */
  readonly ca: string;
  readonly console: string;
  readonly agentSocket: string;
  /** True refuses `palisade run` of a service nobody registered. */
  readonly strict: boolean;
};

/** Reads `mesh.json`; the error is a sentence with the next step. */
export function readMeshSettings(folder: DataFolder): Result<MeshSettings, string> {
  let text: string;
  try {
    text = readFileSync(folder.meshSettings, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = UNREADABLE[code ?? ''];
    if (reason === undefined)
      return fail(`cannot read \`${shownPath(folder.meshSettings)}\`: ${code ?? 'unknown'}`);
    return fail(`there is no mesh in \`${shownPath(folder.root)}\`${reason}`);
  }
  return parseMeshSettings(text, folder.meshSettings);
}

/** Why there is none, where that says more than that there is none. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: '',
  ENOTDIR: ': that is a file, or below one',
  ENAMETOOLONG: ': the path is too long for the system',
  EACCES: ' that you may read',
};

function parseMeshSettings(text: string, file: string): Result<MeshSettings, string> {
  const names = ['trustDomain', 'api', 'grpc', 'ca', 'console', 'agentSocket'] as const;
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const missing = names.filter((name) => typeof value[name] !== 'string');
    if (missing.length > 0) return fail(`\`${file}\` lacks ${missing.join(', ')}`);
    return ok({ ...(value as unknown as MeshSettings), strict: value['strict'] === true });
  } catch {
    return fail(`\`${file}\` is not JSON: it was written by another program or cut short`);
  }
}
