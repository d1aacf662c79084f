import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { EVENT, type Log } from '#telemetry';

/** What of a pod attestation uses. */
export type Pod = {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
  readonly nodeName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    readonly image: string;
  }[];
};

/** The kubelet of this node, which knows its pods. */
export type Kubelet = {
  /** The pod with this uid if one of its containers has this id; undefined also where the kubelet does not answer. */
  readonly podOfContainer: (podUid: string, containerId: string) => Promise<Pod | undefined>;
};

/** How the kubelet is asked: its authenticated port, as a service account that may read `nodes/proxy`. */
export type KubeletOptions = {
  /** For example `https://127.0.0.1:10250`. */
  readonly url: string;
  /** The projected service account token; read at each question, since it is replaced. */
  readonly tokenFile: string;
  /** PEM of the authority of the kubelet's serving certificate. */
  readonly caFile: string;
  /** The name in the kubelet's certificate, the node's own. */
  readonly nodeName: string;
  readonly log: Log;
  /** Between two questions for a container that the kubelet does not name yet; 500 unless a test is in a hurry. */
  readonly retryMs?: number;
};

const TIMEOUT_MS = 3000;
const MAX_BYTES = 32 * 1024 * 1024;
// A pod's status names a container some time after it has started.
const ATTEMPTS = 4;
const RETRY_MS = 500;

/** Asks the kubelet's `/pods`. */
export function createKubelet(options: KubeletOptions): Kubelet {
  return {
    async podOfContainer(podUid, containerId) {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        const pods = await readPods(options);
        const pod = pods?.find(({ uid }) => uid === podUid);
        if (pod?.containers.some(({ id }) => id === containerId)) return pod;
        if (attempt < ATTEMPTS)
          await new Promise((resolve) => setTimeout(resolve, options.retryMs ?? RETRY_MS));
      }
      return undefined;
    },
  };
}

async function readPods(options: KubeletOptions): Promise<readonly Pod[] | undefined> {
  try {
    return parsePods(JSON.parse(await fetchPods(options)));
  } catch (error) {
    // SECURITY: the request's error, which never holds the token.
    options.log.warn(EVENT.kubeletUnreachable, {
      reason: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}

const CONTAINER_LISTS = [
  'containerStatuses',
  'initContainerStatuses',
  'ephemeralContainerStatuses',
] as const;

/** Reads a PodList (Kubernetes core/v1); a pod without what attestation needs is left out. */
export function parsePods(list: unknown): readonly Pod[] {
  return listAt(list, 'items').flatMap((pod) => {
    const metadata = fieldOf(pod, 'metadata');
    const [namespace, name, uid] = ['namespace', 'name', 'uid'].map((key) => textAt(metadata, key));
    if (!namespace || !name || !uid) return [];
    const spec = fieldOf(pod, 'spec');
    return [
      {
        namespace,
        name,
        uid,
        serviceAccount: textAt(spec, 'serviceAccountName') ?? 'default',
        nodeName: textAt(spec, 'nodeName') ?? '',
        labels: labelsOf(fieldOf(metadata, 'labels')),
        containers: CONTAINER_LISTS.flatMap((key) => listAt(fieldOf(pod, 'status'), key)).flatMap(
          containerOfStatus,
        ),
      },
    ];
  });
}

function containerOfStatus(value: unknown): readonly Pod['containers'][number][] {
  // `containerd://ID`
  const [, id] = /^[a-z-]+:\/\/([0-9a-f]{64})$/.exec(textAt(value, 'containerID') ?? '') ?? [];
  const name = textAt(value, 'name');
  if (id === undefined || name === undefined) return [];
  return [{ id, name, image: textAt(value, 'image') ?? '' }];
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.filter(([, text]) => typeof text === 'string'));
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = fieldOf(value, key);
  return Array.isArray(list) ? list : [];
}

function textAt(value: unknown, key: string): string | undefined {
  const text = fieldOf(value, key);
  return typeof text === 'string' ? text : undefined;
}

async function fetchPods({ url, tokenFile, caFile, nodeName }: KubeletOptions): Promise<string> {
  // Only agents on Kubernetes load it.
  const { request } = process.getBuiltinModule('node:https');
  const [token, ca] = await Promise.all([readFile(tokenFile, 'utf8'), readFile(caFile, 'utf8')]);
  return new Promise((resolve, reject) => {
    const call = request(
      new URL('/pods', url),
      {
        ca,
        servername: nodeName,
        headers: { authorization: `Bearer ${token.trim()}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      (response) => readBody(response).then(resolve, reject),
    );
    call.on('error', reject);
    call.end();
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`the kubelet answered ${response.statusCode}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`the kubelet's answer is over ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
