import { containerOf } from './container.ts';
import type { Kubelet, Pod } from './kubelet.ts';
import type { WorkloadAttestor } from './workload-attestor.ts';

/** The pod that the process runs in, as this node's kubelet tells; the selectors are SPIRE's `k8s:…`. */
export function createKubernetesAttestor(kubelet: Kubelet): WorkloadAttestor {
  return {
    name: 'kubernetes',
    strength: 'kubernetes',
    async selectorsOf({ cgroups }) {
      const container = containerOf(cgroups);
      // A process outside of any pod costs the kubelet no question.
      if (container?.podUid === undefined) return [];
      const pod = await kubelet.podOfContainer(container.podUid, container.id);
      return pod === undefined ? [] : podSelectors(pod, container.id);
    },
  };
}

function podSelectors(pod: Pod, containerId: string): readonly string[] {
  const container = pod.containers.find(({ id }) => id === containerId);
  return [
    `k8s:ns:${pod.namespace}`,
    `k8s:sa:${pod.serviceAccount}`,
    `k8s:pod-name:${pod.name}`,
    `k8s:pod-uid:${pod.uid}`,
    `k8s:node-name:${pod.nodeName}`,
    ...Object.entries(pod.labels).map(([name, value]) => `k8s:pod-label:${name}:${value}`),
    ...(container === undefined
      ? []
      : [`k8s:container-name:${container.name}`, `k8s:container-image:${container.image}`]),
  ];
}
