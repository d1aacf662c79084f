import { createHash, createPublicKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attestationProof, pemToDer } from '#identity';
import { challengeBytes, type Evidence, type EvidenceSource } from './evidence-source.ts';
import { runTool } from './run-tool.ts';

/** Where TPM makers put the certificate of the RSA endorsement key (TCG EK Credential Profile, 2.2.1.4). */
const EK_CERTIFICATE = '0x01c00002';

/** How the TPM is reached. */
export type TpmOptions = {
  /** As tpm2-tools write it, e.g. `device:/dev/tpmrm0`; their own default where absent. */
  readonly tcti?: string | undefined;
};

/**
 * The machine's TPM 2.0 through Debian's `tpm2-tools`. The endorsement key is the one that its maker certified; an
 * attestation key is made at each attempt and never leaves the TPM.
 */
export function tpmEvidence({ tcti }: TpmOptions): EvidenceSource {
  const env = tcti === undefined ? process.env : { ...process.env, TPM2TOOLS_TCTI: tcti };
  const inFolder = async <T>(work: (tools: Tools) => Promise<T>): Promise<T> => {
    const folder = await mkdtemp(join(tmpdir(), 'palisade-tpm-'));
    try {
      return await work(toolsIn(folder, env));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  let attempt: Promise<Attempt> | undefined;
  return {
    attestor: 'tpm',
    agent: () =>
      inFolder(async (tools) => {
        await createEndorsementKey(tools);
        await tools.run('tpm2_readpublic', '-c', 'ek.ctx', '-f', 'der', '-o', 'ek.der');
        const key = createPublicKey({
          key: await tools.read('ek.der'),
          format: 'der',
          type: 'spki',
        });
        const der = key.export({ type: 'spki', format: 'der' });
        return `tpm/${createHash('sha256').update(der).digest('hex')}`;
      }),
    async evidence() {
      // The keys' contexts are needed again for the answer; the folder of an attempt goes with it.
      await discard(attempt);
      attempt = beginAttempt(await mkdtemp(join(tmpdir(), 'palisade-tpm-')), env);
      return (await attempt).evidence;
    },
    async answer(challenge, publicKeyDer) {
      const { tools } = (await attempt) ?? { tools: undefined };
      if (tools === undefined) throw new Error('there is no attempt to answer for');
      try {
        return await answer(tools, challenge, publicKeyDer);
      } finally {
        await discard(attempt);
        attempt = undefined;
      }
    },
  };
}

type Tools = {
  readonly folder: string;
  readonly run: (program: string, ...args: readonly string[]) => Promise<Buffer>;
  readonly read: (name: string) => Promise<Buffer>;
};
type Attempt = { readonly tools: Tools; readonly evidence: Evidence };

function toolsIn(folder: string, env: NodeJS.ProcessEnv): Tools {
  return {
    folder,
    run: (program, ...args) => runTool(program, args, { cwd: folder, env }),
    read: (name) => readFile(join(folder, name)),
  };
}

async function beginAttempt(folder: string, env: NodeJS.ProcessEnv): Promise<Attempt> {
  const tools = toolsIn(folder, env);
  await createEndorsementKey(tools);
  const key = ['-G', 'ecc', '-g', 'sha256', '-s', 'ecdsa'];
  await tools.run('tpm2_createak', '-C', 'ek.ctx', '-c', 'ak.ctx', ...key, '-u', 'ak.pub');
  await tools.run('tpm2_flushcontext', '-t');
  const certificate = await endorsementCertificate(tools);
  return {
    tools,
    evidence: {
      ekPublic: (await tools.read('ek.pub')).toString('base64'),
      akPublic: (await tools.read('ak.pub')).toString('base64'),
      ...(certificate === undefined ? {} : { ekCertificates: [certificate] }),
    },
  };
}

async function createEndorsementKey(tools: Tools): Promise<void> {
  await tools.run('tpm2_createek', '-c', 'ek.ctx', '-G', 'rsa', '-u', 'ek.pub');
  await tools.run('tpm2_flushcontext', '-t');
}

async function endorsementCertificate(tools: Tools): Promise<string | undefined> {
  try {
    const bytes = await tools.run('tpm2_nvread', EK_CERTIFICATE);
    const [fromPem] = pemToDer(bytes.toString('latin1'));
    return Buffer.from(fromPem ?? bytes).toString('base64');
  } catch {
    // Not every TPM has one; then the authority has to know the key itself.
    return undefined;
  }
}

async function answer(
  tools: Tools,
  challenge: Evidence,
  publicKeyDer: Uint8Array,
): Promise<Evidence> {
  await writeFile(join(tools.folder, 'credential'), challengeBytes(challenge, 'credential'));
  // The endorsement key may be used by whoever may use the endorsement hierarchy (part 1, 23: policy secret).
  await tools.run('tpm2_startauthsession', '--policy-session', '-S', 'session.ctx');
  await tools.run('tpm2_policysecret', '-S', 'session.ctx', '-c', 'e');
  const keys = ['-c', 'ak.ctx', '-C', 'ek.ctx', '-P', 'session:session.ctx'];
  await tools.run('tpm2_activatecredential', ...keys, '-i', 'credential', '-o', 'secret');
  await tools.run('tpm2_flushcontext', 'session.ctx');
  const proof = attestationProof('tpm', challengeBytes(challenge, 'nonce'), publicKeyDer);
  const qualifying = createHash('sha256').update(proof).digest('hex');
  const what = ['-c', 'ak.ctx', '-l', 'sha256:0,1,2,3,4,5,6,7', '-q', qualifying];
  await tools.run('tpm2_quote', ...what, '-m', 'quote', '-s', 'signature', '-f', 'plain');
  await tools.run('tpm2_flushcontext', '-t');
  const read = async (name: string) => (await tools.read(name)).toString('base64');
  return {
    secret: await read('secret'),
    quote: await read('quote'),
    signature: await read('signature'),
  };
}

async function discard(attempt: Promise<Attempt> | undefined): Promise<void> {
  const held = await attempt?.catch(() => undefined);
  if (held !== undefined) await rm(held.tools.folder, { recursive: true, force: true });
}
