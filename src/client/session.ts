import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { fail, ok, type Result } from '#lib';
import { loadSigner, type TrustRoot } from '#trust';
import { type ApiClient, createApiClient } from './api-client.ts';
import { type DataFolder, layoutOf } from './data-folder.ts';
import { type MeshSettings, readMeshSettings } from './mesh-settings.ts';
import type { Author } from './policy-set.ts';
import { readTrustRoot } from './trust-root-file.ts';

/** Everything a command needs to talk to a mesh. */
export type Session = {
  readonly folder: DataFolder;
  readonly settings: MeshSettings;
  readonly trustRoot: TrustRoot;
  readonly api: ApiClient;
};

/** Commits hold for 90 days; whoever is still in charge renews them by applying anything. */
const COMMIT_TTL_MS = 90 * 86_400_000;

/** Opens the mesh of `dataDir`, at `server` if given; the error is a sentence with the next step in it. */
export function openSession(options: {
  readonly dataDir: string;
  readonly server?: string | undefined;
}): Result<Session, string> {
  const folder = layoutOf(options.dataDir);
  const settings = readMeshSettings(folder);
  if (!settings.ok) return settings;
  const trustRoot = readTrustRoot(folder);
  if (!trustRoot.ok) return trustRoot;
  const server = options.server ?? settings.value.api;
  try {
    const api = createApiClient({ server, folder, trustRoot: trustRoot.value });
    return ok({ folder, settings: settings.value, trustRoot: trustRoot.value, api });
  } catch (error) {
    return fail(
      `cannot read the client certificate in \`${folder.admin.folder}\`: ${(error as Error).message}`,
    );
  }
}

/** The data folder's policy key and the name it signs under. */
export function loadAuthor(folder: DataFolder): Result<Author, string> {
  let pem: string;
  try {
    pem = readFileSync(folder.author.key, 'utf8');
  } catch (error) {
    return fail(`cannot read the policy key \`${folder.author.key}\`: ${(error as Error).message}`);
  }
  const signer = loadSigner(pem);
  if (!signer.ok) return fail(`\`${folder.author.key}\` is not a policy key: ${signer.error}`);
  return ok({ name: authorName(folder), signer: signer.value, ttlMs: COMMIT_TTL_MS });
}

function authorName(folder: DataFolder): string {
  try {
    return readFileSync(folder.author.name, 'utf8').trim();
  } catch {
    // The name is a courtesy to readers of the history; the key is what counts.
    return userInfo().username;
  }
}
