import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { createAdminServer, type Readiness } from './admin-server.ts';

let readiness: Readiness = { ready: false, reason: 'no identity from the agent yet' };
let isBroken = false;
const server = await createAdminServer({
  host: '127.0.0.1',
  port: 0,
  metrics: {
    exposition: (openMetrics) =>
      isBroken
        ? Promise.reject(new Error('secret detail'))
        : Promise.resolve({ contentType: 'text/plain', body: openMetrics ? 'open' : 'text' }),
  },
  ready: () => readiness,
});
after(() => server.close());

async function check(path: string, status: number, body: string, init: RequestInit = {}) {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
  assert.equal(response.status, status, path);
  assert.equal((await response.text()).trim(), body, path);
}

test('live at once; ready only when it is, and in words why not', async () => {
  await check('/healthz/live', 200, 'live');
  await check('/healthz/ready', 503, 'no identity from the agent yet');
  readiness = { ready: true, reason: '' };
  await check('/healthz/ready', 200, 'ready');
});

test('metrics in the format that is asked for', async () => {
  await check('/metrics', 200, 'text');
  await check('/metrics?x=1', 200, 'text');
  const accept = 'application/openmetrics-text; version=1.0.0';
  await check('/metrics', 200, 'open', { headers: { accept } });
});

test('nothing else, and no other method', async () => {
  for (const path of ['/', '/status', '/metrics/', '/healthz', '/..%2fmetrics']) {
    await check(path, 404, 'not found');
  }
  await check('/metrics', 405, 'only GET', { method: 'POST' });
});

test('a failure tells nothing of its inside', async () => {
  isBroken = true;
  await check('/metrics', 500, 'metrics could not be written');
  isBroken = false;
});

test('garbage closes its own connection only', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write('\0\0\0garbage\r\n\r\n');
  await new Promise((resolve) => {
    socket.once('close', resolve);
    socket.resume();
  });
  await check('/healthz/live', 200, 'live');
});

test('a port that is taken is an error', async () => {
  const options = { host: '127.0.0.1', port: server.port, ready: () => readiness };
  const metrics = { exposition: () => Promise.resolve({ contentType: '', body: '' }) };
  await assert.rejects(createAdminServer({ ...options, metrics }), { code: 'EADDRINUSE' });
});
