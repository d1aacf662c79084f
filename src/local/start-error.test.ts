import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { explainAuthorityError, explainListenError, StartError } from './start-error.ts';

test('what is in the way of listening is named, with the flag that says where', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  const check = async (host: string, message: RegExp, help: RegExp) => {
    const server = createServer().listen(port, host);
    const [error] = await once(server, 'error');
    const explained = explainListenError(error, '--listen');
    assert.ok(explained instanceof StartError);
    assert.match(explained.message, message);
    assert.match(explained.help, help);
  };
  await check(
    '127.0.0.1',
    new RegExp(`^port ${port} is taken by process ${process.pid} `),
    /--listen/,
  );
  await check('192.0.2.1', /^`192\.0\.2\.1` is no address of this machine$/, /--listen/);
  holder.close();
  const denied = Object.assign(new Error('x'), { code: 'EACCES', address: '127.0.0.1', port: 80 });
  assert.equal(explainListenError(denied).message, 'port 80 is not for this user to listen on');
  const other = new Error('other');
  assert.equal(explainListenError(other), other);
});

test('what the authority says of its files and devices is for its operator, and a defect is none', () => {
  const sealed = explainAuthorityError(
    new Error('`ca/log.key` cannot be opened: the passphrase is wrong'),
  );
  assert.ok(sealed instanceof StartError);
  assert.match(sealed.help, /authority-keys\.md/);
  const cause = Object.assign(new Error('ENOENT: …'), { code: 'ENOENT' });
  const missing = explainAuthorityError(new Error('`root.key` cannot be read', { cause }));
  assert.ok(missing instanceof StartError);
  assert.equal(missing.message, '`root.key` cannot be read: there is no such file');
  const device = Object.assign(new Error('C_Login: the PIN is wrong'), { code: 0xa0 });
  assert.ok(explainAuthorityError(device) instanceof StartError);
  for (const other of [new TypeError('x'), cause, sealed]) {
    assert.equal(explainAuthorityError(other), other);
  }
});
