// An endpoint that comes and goes ten times a second, and connections that break at every byte of an exchange: callers
// feel neither, nothing is answered twice, and nobody gets the answer of somebody else.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Answer,
  type CountingApplication,
  call,
  createSidecars,
  type FaultProcess,
  startCountingApplication,
} from './fault-mesh.ts';
import { type Relay, startRelay } from './relay.ts';

const FLAP_MS = 50;
const LOAD_MS = 8_000;
const CALLERS = 16;

const sidecars = createSidecars();
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let steady: CountingApplication;
let shaky: CountingApplication;
let servers: readonly FaultProcess[];

before(async () => {
  steady = await startCountingApplication('steady');
  shaky = await startCountingApplication('shaky');
  servers = await Promise.all(
    [steady, shaky].map(({ port }) =>
      sidecars.start('orders', { protocol: 'http', appPort: port }),
    ),
  );
});
after(() => {
  sidecars.close();
  agent.destroy();
  steady.close();
  shaky.close();
});

/** INVARIANT of every fault: an answer is for the request it is given to, and no request with effects ran twice. */
function assertSound(answers: readonly Answer[]): void {
  for (const { id, method, status, body } of answers) {
    if (status === 200) {
      assert.match(body, new RegExp(`^(?:steady|shaky) ${id} ${method} `), 'a wrong answer');
    }
    const times = (steady.seen.get(id) ?? 0) + (shaky.seen.get(id) ?? 0);
    if (method === 'POST') assert.ok(times <= 1, `POST ${id} ran ${times} times`);
    if (status === 200) assert.ok(times >= 1);
  }
}

async function load(port: number, forMs: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  const end = performance.now() + forMs;
  const caller = async (at: number): Promise<void> => {
    for (let i = at; performance.now() < end; i++) {
      answers.push(await call(port, i % 3 === 0 ? 'POST' : 'GET', agent));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, at) => caller(at)));
  return answers;
}

for (const transport of ['mtls', 'hbone'] as const) {
  test(`an endpoint that flaps at 10 Hz (${transport}): no GET fails, no POST runs twice`, async () => {
    const [first, second] = servers;
    const target = transport === 'hbone' ? second?.ports.hbonePort : second?.ports.inboundPort;
    const relay = await startRelay(target ?? 0);
    const caller = await sidecars.start('web', {
      protocol: 'http',
      endpoints: [
        endpointOf(first as FaultProcess, transport),
        { host: '127.0.0.1', port: relay.port, hbonePort: transport === 'hbone' ? relay.port : 0 },
      ],
    });
    const stop = flap(relay);
    const answers = await load(caller.ports.outboundPort, LOAD_MS);
    await stop();
    assertSound(answers);
    const failed = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(
      failed.filter(({ method }) => method === 'GET'),
      [],
      'a GET failed',
    );
    // A request whose body was sent when its connection broke may have had its effect: it is 502, and never again.
    for (const { reason } of failed) assert.equal(reason, 'upstream_failed');
    assert.ok(failed.length <= answers.length / 50, `${failed.length} of ${answers.length} failed`);
    const { metrics, endpoints } = await caller.look();
    assert.match(metrics, /palisade_endpoint_ejections_total\{[^}]*\} [1-9]/);
    assert.equal(endpoints.length, 2);
    caller.kill();
    relay.close();
  });
}

test('a connection that breaks after each byte of an exchange: GET is answered, POST runs once or not at all', async () => {
  const [first] = servers;
  const relay = await startRelay(first?.ports.inboundPort ?? 0);
  const caller = await sidecars.start('web', {
    protocol: 'http',
    endpoints: [{ host: '127.0.0.1', port: relay.port, hbonePort: 0 }],
    retries: { consecutiveGatewayErrors: 0, consecutiveConnectFailures: 0, attempts: 2 },
  });
  const answers: Answer[] = [];
  // A handshake takes some 2,500 bytes each way; steps that share no divisor with records reach every part of it.
  for (let bytes = 1; bytes < 5_200; bytes += 61) {
    for (const key of ['resetAfterServerBytes', 'resetAfterClientBytes'] as const) {
      relay.conduct[key] = bytes;
      const alone = new Agent({ keepAlive: false });
      const [get, post] = await Promise.all([
        call(caller.ports.outboundPort, 'GET', alone),
        call(caller.ports.outboundPort, 'POST', alone),
      ]);
      answers.push(get, post);
      delete relay.conduct[key];
      alone.destroy();
    }
  }
  assertSound(answers);
  const reasons = new Set(answers.map(({ status, reason }) => `${status} ${reason}`));
  for (const seen of reasons) {
    assert.match(
      seen,
      /^(?:200 undefined|502 upstream_failed|503 upstream_connect_failed|503 upstream_tls_failed|0 undefined)$/,
    );
  }
  assert.ok(reasons.has('502 upstream_failed') && reasons.has('200 undefined'), `${[...reasons]}`);
  // With the network well again, so is the service.
  assert.equal((await call(caller.ports.outboundPort, 'GET', agent)).status, 200);
  caller.kill();
  relay.close();
});

test('delay, jitter and a narrow line: calls are slow and right', async () => {
  const [first] = servers;
  const relay = await startRelay(first?.ports.hbonePort ?? 0, {
    delayMs: 20,
    jitterMs: 40,
    bytesPerSecond: 200_000,
  });
  const caller = await sidecars.start('web', {
    protocol: 'http',
    endpoints: [{ host: '127.0.0.1', port: relay.port, hbonePort: relay.port }],
  });
  const answers = await load(caller.ports.outboundPort, 4_000);
  assertSound(answers);
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200),
    [],
  );
  assert.ok(
    answers.every(({ tookMs }) => tookMs >= 35),
    'the relay delayed nothing',
  );
  caller.kill();
  relay.close();
});

function flap(relay: Relay): () => Promise<void> {
  let isOver = false;
  const flapping = (async () => {
    for (let isUp = true; !isOver; isUp = !isUp) {
      if (isUp) relay.down();
      else await relay.up();
      await delay(FLAP_MS);
    }
  })();
  return async () => {
    isOver = true;
    await flapping;
  };
}

function endpointOf(
  server: FaultProcess,
  transport: 'mtls' | 'hbone',
): { host: string; port: number; hbonePort: number } {
  const { inboundPort, hbonePort } = server.ports;
  return {
    host: '127.0.0.1',
    port: inboundPort,
    hbonePort: transport === 'hbone' ? hbonePort : 0,
  };
}
