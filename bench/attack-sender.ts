// One flood again and again, or some by turns, from a process of its own: `node attack-sender.ts PORT FLOOD,… TIMES PAUSE_MS`.
// Prints, as JSON, how many of the connections the sidecar ended, and from when to when each of them was there.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FLOODS, floodOf } from '../test/system/http2-floods.ts';

/** Some peers end some floods never. */
const MAX_MS = 150;
const SETTLE_MS = 500;

/** What is printed; times are those of the machine's clock, in milliseconds. */
export type Sent = {
  readonly ended: number;
  readonly spans: readonly (readonly [from: number, to: number])[];
};

const [port = '0', names = '', times = '1', pauseMs = '0'] = process.argv.slice(2);
const floods = names.split(',').map((name) => floodOf(FLOODS[name] ?? (() => Buffer.alloc(0))));
// A process that has just started keeps both cores busy with its compilers and its garbage: no part of the attack.
await sleep(SETTLE_MS);
let ended = 0;
const spans: [number, number][] = [];
for (let i = 0; i < Number(times); i++) {
  const from = now();
  if (await send(floods[i % floods.length] ?? '')) ended++;
  spans.push([from, now()]);
  await sleep(Number(pauseMs));
}
console.log(JSON.stringify({ ended, spans } satisfies Sent));

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Sends all of a flood; whether the connection was ended by the other side. */
function send(flood: Buffer | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    const limit = setTimeout(() => {
      resolve(false);
      socket.destroy();
    }, MAX_MS);
    socket.resume();
    socket.on('error', () => {
      // A reset is an end like any other.
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(limit);
      resolve(true);
    });
    socket.write(flood);
  });
}
