// Stands in for an operator's program before a key service: keys in files of the folder it is started with, one JSON
// object a line. Keys called `broken-…` show what a bad service does.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { signDigest } from './fake-ecdsa.ts';

const [folder = ''] = process.argv.slice(2);

type Question = {
  readonly id: number;
  readonly method: string;
  readonly key?: string;
  readonly digest?: string;
};

function answer({ method, key = '', digest = '' }: Question): object | undefined {
  const file = join(folder, key);
  if (method === 'create') {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const made = randomUUID();
    writeFileSync(join(folder, made), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    return { key: made, publicKey: spki.toString('base64') };
  }
  if (method === 'destroy') {
    rmSync(file, { force: true });
    return {};
  }
  return sign(file, Buffer.from(digest, 'base64'));
}

function sign(file: string, digest: Buffer): object | undefined {
  const behaviour = readBehaviour();
  if (behaviour === 'silent') return undefined;
  if (behaviour === 'refuse') return { error: 'the key service says no' };
  if (behaviour === 'die') process.exit(3);
  if (behaviour === 'lie') return { signature: Buffer.alloc(64, 1).toString('base64') };
  const key = createPrivateKey(readFileSync(file, 'utf8'));
  return { signature: signDigest(key, digest).toString('base64') };
}

function readBehaviour(): string {
  try {
    return readFileSync(join(folder, 'behaviour'), 'utf8');
  } catch {
    // No test told it to misbehave.
    return '';
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const question = JSON.parse(line) as Question;
  appendFileSync(join(folder, 'asked'), `${question.method}\n`);
  const told = answer(question);
  if (told !== undefined) process.stdout.write(`${JSON.stringify({ id: question.id, ...told })}\n`);
});
