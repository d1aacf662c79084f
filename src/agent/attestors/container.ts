import type { WorkloadAttestor } from './workload-attestor.ts';

/** A container as its control group names it. */
export type ContainerName = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly runtime: 'docker' | 'containerd' | 'cri-o' | 'podman' | 'unknown';
  /** The Kubernetes pod's uid, where the group's parent says so. */
  readonly podUid: string | undefined;
};

/** The container that the process runs in: `container:id:HEX` and `container:runtime:NAME`. */
export function createContainerAttestor(): WorkloadAttestor {
  return {
    name: 'container',
    strength: 'process',
    selectorsOf({ cgroups }) {
      const container = containerOf(cgroups);
      if (container === undefined) return [];
      const runtime =
        container.runtime === 'unknown' ? [] : [`container:runtime:${container.runtime}`];
      return [`container:id:${container.id}`, ...runtime];
    },
  };
}

// cri-containerd-ID.scope, crio-ID.scope, docker-ID.scope, libpod-ID.scope, nerdctl-ID.scope; containerd without systemd
// `…:cri-containerd:ID`; Podman's split groups, as its Quadlet units have them, NAME.service/libpod-payload-ID; with the
// cgroupfs driver the bare ID, below /docker/, /libpod_parent/ or /kubepods/.
const GROUP =
  /(?:^|:)(?:(docker|cri-containerd|crio|libpod(?:-payload)?|nerdctl)[-:])?([0-9a-f]{64})(?:\.scope)?$/;
const POD = /^(?:kubepods.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?$/;

const RUNTIMES: Readonly<Record<string, ContainerName['runtime']>> = {
  docker: 'docker',
  'cri-containerd': 'containerd',
  crio: 'cri-o',
  libpod: 'podman',
  'libpod-payload': 'podman',
  nerdctl: 'containerd',
};
// What systemd hands over to a user, who makes and names groups below it at will (systemd's Delegate=, rootless Podman).
const OF_A_USER = /^(?:user\.slice|user@\d+\.service)$/;

/**
 * The container of a process by its control groups; undefined if it is in none, or they contradict each other.
 * SECURITY: the outermost one counts: inside its own group a container may call groups what it likes.
 */
export function containerOf(cgroups: readonly string[]): ContainerName | undefined {
  const found = cgroups.flatMap((path) => outermost(path) ?? []);
  const [first] = found;
  return first !== undefined && found.every(({ id }) => id === first.id) ? first : undefined;
}

function outermost(path: string): ContainerName | undefined {
  const parts = path.split('/');
  // SECURITY: outside of the agent's own control group namespace; what is there has no name here.
  if (parts.includes('..')) return undefined;
  const at = parts.findIndex((part) => GROUP.test(part));
  const [, prefix, id] = GROUP.exec(parts[at] ?? '') ?? [];
  if (id === undefined) return undefined;
  // SECURITY: any user could call a group of its own as the container, or the pod, of somebody else.
  if (parts.slice(0, at).some((part) => OF_A_USER.test(part))) return undefined;
  const [slice = ''] = (parts[at] ?? '').split(':');
  const above = [...parts.slice(0, at), slice];
  const pod = above.map((part) => POD.exec(part)?.[1]).find((uid) => uid !== undefined);
  const runtime = prefix === undefined && parts[at - 1] === 'docker' ? 'docker' : prefix;
  return {
    id,
    runtime: RUNTIMES[runtime ?? ''] ?? 'unknown',
    podUid: pod?.replaceAll('_', '-'),
  };
}
