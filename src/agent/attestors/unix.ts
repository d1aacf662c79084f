import type { Accounts } from '../accounts.ts';
import type { ProcessTable } from '../process-table.ts';
import type { WorkloadAttestor } from './workload-attestor.ts';

/** What the attestor of the kernel's own facts asks. */
export type UnixAttestorOptions = {
  readonly processes: ProcessTable;
  readonly accounts: Accounts;
  /** Whether some registration has a selector of this type: executables are hashed only for those who ask. */
  readonly isAskedFor: (selectorType: string) => boolean;
};

/** User, groups, path and digest of the executable, as the kernel tells them; the selectors are SPIRE's `unix:…`. */
export function createUnixAttestor(options: UnixAttestorOptions): WorkloadAttestor {
  const { processes, accounts, isAskedFor } = options;
  return {
    name: 'unix',
    strength: 'process',
    async selectorsOf({ pid, uid, gid }) {
      const user = accounts.user(uid);
      const group = accounts.group(gid);
      const executable = processes.executable(pid);
      const digest = isAskedFor('unix:sha256') ? await processes.executableDigest(pid) : undefined;
      return [
        `unix:uid:${uid}`,
        `unix:gid:${gid}`,
        ...(user === undefined ? [] : [`unix:user:${user}`]),
        ...(group === undefined ? [] : [`unix:group:${group}`]),
        ...processes.supplementaryGroups(pid).flatMap((each) => groupSelectors(each, accounts)),
        ...(executable === undefined ? [] : [`unix:path:${executable}`]),
        ...(digest === undefined ? [] : [`unix:sha256:${digest}`]),
      ];
    },
  };
}

function groupSelectors(gid: number, accounts: Accounts): readonly string[] {
  const name = accounts.group(gid);
  return [
    `unix:supplementary_gid:${gid}`,
    ...(name === undefined ? [] : [`unix:supplementary_group:${name}`]),
  ];
}
