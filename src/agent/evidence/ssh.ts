import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { attestationProof } from '#identity';
import { challengeBytes, type EvidenceSource } from './evidence-source.ts';
import { runTool } from './run-tool.ts';

const NAMESPACE = 'palisade-node-attestation';

/** The host's OpenSSH certificate; its key stays with `ssh-keygen`, which signs the proof. */
export function sshpopEvidence(certificateFile: string, keyFile: string): EvidenceSource {
  const readBlob = async (): Promise<string> => {
    const [, blob = ''] = (await readFile(certificateFile, 'utf8')).trim().split(' ');
    return blob;
  };
  return {
    attestor: 'sshpop',
    async agent() {
      // `ssh-keygen -y` prints the public key of the private one: type, blob, comment.
      const line = (await runTool('ssh-keygen', ['-y', '-f', keyFile])).toString('utf8');
      const key = Buffer.from(line.split(' ')[1] ?? '', 'base64');
      return `sshpop/${createHash('sha256').update(key).digest('hex')}`;
    },
    evidence: async () => ({ certificate: await readBlob() }),
    async answer(challenge, publicKeyDer) {
      const message = attestationProof('sshpop', challengeBytes(challenge, 'nonce'), publicKeyDer);
      const args = ['-q', '-Y', 'sign', '-f', keyFile, '-n', NAMESPACE];
      const armoured = (await runTool('ssh-keygen', args, { input: message })).toString('latin1');
      return { signature: armoured.replaceAll(/-----[A-Z ]+-----|\s/g, '') };
    },
  };
}
