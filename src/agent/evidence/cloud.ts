import type { EvidenceSource } from './evidence-source.ts';
import { claimsOf } from './token.ts';

/** Where a cloud's metadata service answers, on its machines; a test brings its own. */
const METADATA_URL = 'http://169.254.169.254';
const TIMEOUT_MS = 5000;
const MAX_BYTES = 64 * 1024;

/** The instance identity document of AWS, by its metadata service's second version. */
export function awsIidEvidence(url: string = METADATA_URL): EvidenceSource {
  const read = async () => {
    const token = await ask(url, '/latest/api/token', {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' },
    });
    const headers = { 'x-aws-ec2-metadata-token': token };
    const base = '/latest/dynamic/instance-identity';
    const document = await ask(url, `${base}/document`, { headers });
    const signature = await ask(url, `${base}/signature`, { headers });
    return { document, signature: signature.replaceAll(/\s/g, '') };
  };
  return {
    attestor: 'aws_iid',
    async agent() {
      const { accountId, instanceId } = JSON.parse((await read()).document) as Record<
        string,
        string
      >;
      return `aws_iid/${accountId}.${instanceId}`;
    },
    async evidence() {
      const { document, signature } = await read();
      return { document: Buffer.from(document).toString('base64'), signature };
    },
  };
}

/** The identity token of a Google Cloud instance. */
export function gcpIitEvidence(audience: string, url: string = METADATA_URL): EvidenceSource {
  const path = `/computeMetadata/v1/instance/service-accounts/default/identity?audience=${encodeURIComponent(audience)}&format=full`;
  const read = () => ask(url, path, { headers: { 'metadata-flavor': 'Google' } });
  return {
    attestor: 'gcp_iit',
    async agent() {
      const { google } = claimsOf(await read(), 'the metadata service') as {
        google?: { compute_engine?: Record<string, string> };
      };
      const { project_id: project, instance_id: id } = google?.compute_engine ?? {};
      return `gcp_iit/${project}.${id}`;
    },
    evidence: async () => ({ token: await read() }),
  };
}

/** The token of an Azure machine's managed identity. */
export function azureMsiEvidence(resource: string, url: string = METADATA_URL): EvidenceSource {
  const path = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(resource)}`;
  const read = async () => {
    const answer = JSON.parse(await ask(url, path, { headers: { metadata: 'true' } })) as {
      access_token?: string;
    };
    if (answer.access_token === undefined) throw new Error('the metadata service gave no token');
    return answer.access_token;
  };
  return {
    attestor: 'azure_msi',
    async agent() {
      const { tid, oid } = claimsOf(await read(), 'the metadata service');
      return `azure_msi/${String(tid)}.${String(oid)}`;
    },
    evidence: async () => ({ token: await read() }),
  };
}

async function ask(url: string, path: string, init: RequestInit): Promise<string> {
  const response = await fetch(new URL(path, url), {
    ...init,
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`the metadata service answered ${response.status}`);
  const text = await response.text();
  if (text.length > MAX_BYTES) throw new Error('the metadata service answered too much');
  return text;
}
