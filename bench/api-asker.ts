// Started by bench/ingest.ts: somebody who asks the API again and again until told to stop.
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

/** What the asker is told. */
export type AskerOrder = {
  readonly apiPort: number;
  readonly admin: { readonly certificatePem: string; readonly privateKeyPem: string };
};

const PAUSE_MS = 25;
const QUESTIONS = [
  '/api/v1/overview',
  '/api/v1/records?limit=50',
  '/api/v1/records?denied=true&limit=50',
  '/api/v1/map',
  '/api/v1/rollups?group=edge&step=1m',
];

let isOver = false;
process.once('message', (order: AskerOrder) => {
  process.once('message', () => {
    isOver = true;
  });
  void ask(order).then((times) => process.send?.(times));
});

/** How long each answer took, in ms. */
async function ask({ apiPort, admin }: AskerOrder): Promise<readonly number[]> {
  const times: number[] = [];
  for (let at = 0; !isOver; at++) {
    const begun = performance.now();
    await answer(apiPort, QUESTIONS[at % QUESTIONS.length] ?? '/', admin);
    times.push(performance.now() - begun);
    await delay(PAUSE_MS);
  }
  return times;
}

function answer(port: number, path: string, admin: AskerOrder['admin']): Promise<void> {
  const { certificatePem: cert, privateKeyPem: key } = admin;
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, rejectUnauthorized: false, cert, key };
    const call = request(options, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    call.on('error', reject);
    call.end();
  });
}
