// What `palisade ca status` says of the mesh's roots.
import assert from 'node:assert/strict';
import type { TestMesh } from './mesh.ts';

/** Where a rotation is, and how many certificates stand under which root. */
export type AuthorityStatus = {
  readonly phase: string;
  readonly trustRootVersion: number;
  readonly roots: readonly { readonly sha256: string; readonly points: number }[];
};

/** Asks for it; nothing may be due. */
export async function authorityStatus(mesh: TestMesh): Promise<AuthorityStatus> {
  const status = await mesh.cli('ca', 'status', '-o', 'json');
  assert.equal(status.status, 0, status.stdout + status.stderr);
  return JSON.parse(status.stdout) as AuthorityStatus;
}
