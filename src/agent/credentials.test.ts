import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKernelCredentials } from './credentials.ts';

test('the kernel names the process at the other end, and knows when it is gone', async () => {
  const source = await createKernelCredentials();
  assert.ok(source.ok, source.ok ? '' : source.error);
  const folder = mkdtempSync(join(tmpdir(), 'palisade-credentials-'));
  const path = join(folder, 's');
  // Half-open, so that the socket stays when the child ends, as for an agent that is slow to notice.
  const server = createServer({ allowHalfOpen: true });
  server.listen(path);
  await once(server, 'listening');
  const script = `require('net').connect(${JSON.stringify(path)}); process.stdin.resume()`;
  const child = spawn(process.execPath, ['-e', script]);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const peer = source.value.credentialsOf(socket);
  assert.ok(peer.ok, peer.ok ? '' : peer.error);
  assert.equal(peer.value.pid, child.pid);
  assert.equal(peer.value.uid, process.getuid?.());
  assert.equal(peer.value.gid, process.getgid?.());
  const { isAlive } = peer.value;
  // Before Linux 6.5 there is no pidfd to ask, and the start time alone has to do.
  if (isAlive !== undefined) assert.equal(isAlive(), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  if (isAlive !== undefined) assert.equal(isAlive(), false);
  socket.destroy();
  await once(socket, 'close');
  assert.equal(source.value.credentialsOf(socket).ok, false, 'a closed socket has no peer');
  server.close();
  rmSync(folder, { recursive: true });
});
