import { readFile } from 'node:fs/promises';
import type { EvidenceSource } from './evidence-source.ts';

/** The join token in a file, made for this host by `palisade token create`. */
export function joinTokenEvidence(tokenFile: string): EvidenceSource {
  const read = async () => (await readFile(tokenFile, 'utf8')).trim();
  return {
    attestor: 'join_token',
    async agent() {
      // The authority reads it again, with the signature; here it only tells which ID to ask for.
      const [, body = ''] = (await read()).split('.');
      const { payload } = parse(Buffer.from(body, 'base64url').toString('utf8'), tokenFile);
      const { host } = parse(Buffer.from(String(payload), 'base64').toString('utf8'), tokenFile);
      return String(host);
    },
    evidence: async () => ({ token: await read() }),
  };
}

/** The service account token that Kubernetes projected into the agent's pod; read anew each time, since it is replaced. */
export function k8sPsatEvidence(cluster: string, tokenFile: string): EvidenceSource {
  const read = async () => (await readFile(tokenFile, 'utf8')).trim();
  return {
    attestor: 'k8s_psat',
    async agent() {
      const claims = claimsOf(await read(), tokenFile);
      const platform = claims['kubernetes.io'] as
        | { readonly node?: { readonly uid?: string }; readonly pod?: { readonly uid?: string } }
        | undefined;
      const unique = platform?.node?.uid ?? platform?.pod?.uid;
      if (unique === undefined)
        throw new Error(`the token in \`${tokenFile}\` is not bound to a pod`);
      return `k8s_psat/${cluster}.${unique}`;
    },
    evidence: async () => ({ cluster, token: await read() }),
  };
}

/** The claims of a JWT, unverified: who verifies is the authority. Throws in words where it is none. */
export function claimsOf(token: string, where: string): Record<string, unknown> {
  return parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'), where);
}

function parse(text: string, where: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // SECURITY: the parser's message would quote the token.
    throw new Error(`\`${where}\` holds no token of the kind that is needed`);
  }
}
