import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createContainerAttestor } from './container.ts';
import { createSystemdAttestor } from './systemd.ts';

const ID = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const POD = '8b1fa2b6_7c9a_4c54_9f5e_0d7d8e2a1f00';
const BURSTABLE = '/kubepods.slice/kubepods-burstable.slice';

function check(name: string, cgroups: readonly string[], expected: readonly string[]): void {
  test(name, async () => {
    const process = { pid: 7, uid: 0, gid: 0, startTime: 1, isAlive: undefined, cgroups };
    const attestors = [createContainerAttestor(), createSystemdAttestor()];
    const found = await Promise.all(attestors.map((each) => each.selectorsOf(process)));
    assert.deepEqual(found.flat(), expected);
  });
}

const container = (runtime: string): readonly string[] => [
  `container:id:${ID}`,
  `container:runtime:${runtime}`,
];

check('Docker with systemd', [`/system.slice/docker-${ID}.scope`], container('docker'));
check('Docker with cgroupfs', [`/docker/${ID}`], container('docker'));
check(
  'containerd with systemd',
  [`${BURSTABLE}/kubepods-burstable-pod${POD}.slice/cri-containerd-${ID}.scope`],
  container('containerd'),
);
check(
  'containerd with cgroupfs',
  [`/kubepods/pod${POD.replaceAll('_', '-')}/${ID}`],
  [`container:id:${ID}`],
);
check(
  'containerd under a slice named by colons',
  [`/kubepods-besteffort-pod${POD}.slice:cri-containerd:${ID}`],
  container('containerd'),
);
check(
  'CRI-O',
  [`${BURSTABLE}/kubepods-burstable-pod${POD}.slice/crio-${ID}.scope`],
  container('cri-o'),
);
check("CRI-O's monitor is no container", [`/system.slice/crio-conmon-${ID}.scope`], []);
check('Podman', [`/machine.slice/libpod-${ID}.scope`], container('podman'));
check(
  "Podman's split groups, as a Quadlet unit has them",
  [`/system.slice/web.service/libpod-payload-${ID}`],
  [...container('podman'), 'systemd:id:web.service'],
);
check('nerdctl', [`/system.slice/nerdctl-${ID}.scope`], container('containerd'));
check('several hierarchies that agree', [`/docker/${ID}`, `/docker/${ID}`], container('docker'));
check('several that do not', [`/docker/${ID}`, `/docker/${OTHER}`], []);
check('no container', ['/', '/user.slice/user-1000.slice/session-3.scope'], []);
check('an id that is too short', [`/docker/${ID.slice(1)}`], []);
check(
  'attack: a container names a group of its own as another container',
  [`/docker/${ID}/docker-${OTHER}.scope`],
  container('docker'),
);
check(
  "attack: a user calls a group of its own as somebody's container",
  [`/user.slice/user-1000.slice/user@1000.service/app.slice/docker-${ID}.scope`],
  ['systemd:id:user@1000.service'],
);
check(
  "attack: a user calls a group of its own as somebody's pod",
  [
    `/user.slice/user-1000.slice/user@1000.service/kubepods-pod${POD}.slice/cri-containerd-${ID}.scope`,
  ],
  ['systemd:id:user@1000.service'],
);
check('attack: a path out of the namespace', [`/../../docker/${ID}`], []);

check('a service of systemd', ['/system.slice/nginx.service'], ['systemd:id:nginx.service']);
check(
  'an instance below a slice of its own',
  ['/system.slice/system-getty.slice/getty@tty1.service'],
  ['systemd:id:getty@tty1.service'],
);
check(
  'a group that the service made for itself',
  ['/system.slice/nginx.service/workers'],
  ['systemd:id:nginx.service'],
);
check(
  "attack: a service of a user's own manager called as one of the system",
  ['/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service'],
  ['systemd:id:user@1000.service'],
);
check('attack: a service outside of any slice', ['/nginx.service'], []);
check('attack: a name with what no unit may have', ['/system.slice/a b.service'], []);
