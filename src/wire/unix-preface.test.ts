import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdPreface } from './unix-preface.ts';

const MAGIC = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(0x4, 0, '000300000064');
const ACK = frame(0x4, 0x1);

function frame(type: number, flags: number, payload: string | Buffer = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1]);
  head.writeUIntBE(body.length, 0, 3);
  return Buffer.concat([head, body]);
}

function mendPreface(bytes: Buffer): Buffer | undefined {
  return holdPreface().take(bytes);
}

/** A literal of RFC 7541 section 6.2 whose name is in the static table. */
function literal(first: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([first, value.length]), Buffer.from(value, 'latin1')]);
}

function headers(...fields: Buffer[]): Buffer {
  return frame(0x1, 0x4, Buffer.concat([Buffer.from([0x83, 0x86]), ...fields]));
}

const PATH = literal(0x44, '/SpiffeWorkloadAPI/FetchX509SVID');
const BAD = '/run/spire/agent.sock';
const MENDED = '-run-spire-agent.sock';

test('an authority that is a path is mended, whatever it is sent as, and nothing else is touched', () => {
  const custom = Buffer.from('\x40\x01x\x04/a/b', 'latin1');
  const cases: [string, (authority: string) => Buffer][] = [
    ['remembered', (name) => headers(literal(0x41, name), PATH)],
    ['not remembered', (name) => headers(PATH, literal(0x01, name))],
    ['never remembered', (name) => headers(literal(0x11, name), PATH)],
    ['after a name of its own', (name) => headers(custom, literal(0x41, name))],
    [
      'after a change of the table',
      (name) => headers(Buffer.from([0x3f, 0xe1, 0x1f]), literal(0x41, name)),
    ],
    [
      'with padding and priority',
      (name) => {
        const block = literal(0x41, name);
        const payload = [Buffer.from([2, 0, 0, 0, 0, 16]), block, Buffer.alloc(2)];
        return frame(0x1, 0x4 | 0x8 | 0x20, Buffer.concat(payload));
      },
    ],
  ];
  for (const [name, request] of cases) {
    const sent = Buffer.concat([MAGIC, SETTINGS, ACK, request(BAD)]);
    const handedOn = Buffer.concat([MAGIC, SETTINGS, request(MENDED)]);
    assert.deepEqual(mendPreface(sent), handedOn, name);
  }
});

test('an authority that is one stays, and only the first acknowledgement is ours', () => {
  for (const authority of ['localhost', 'example.org:8080', '[::1]:80', '%2Ftmp%2Fx.sock']) {
    const request = headers(literal(0x41, authority), PATH);
    const sent = Buffer.concat([MAGIC, SETTINGS, request, ACK, ACK]);
    assert.deepEqual(mendPreface(sent), Buffer.concat([MAGIC, SETTINGS, request, ACK]), authority);
  }
});

test('cut off anywhere, it is held until the rest is there', () => {
  const sent = Buffer.concat([MAGIC, SETTINGS, ACK, headers(literal(0x41, BAD), PATH)]);
  for (let i = 0; i < sent.length; i++) assert.equal(mendPreface(sent.subarray(0, i)), undefined);
  const slow = holdPreface();
  const answers = Array.from(sent, (byte) => slow.take(Uint8Array.of(byte)));
  assert.ok(answers.slice(0, -1).every((answer) => answer === undefined));
  assert.deepEqual(answers.at(-1), mendPreface(sent));
});

test('attack: what is no HTTP/2, or too much, is handed on for the server to refuse', () => {
  const http1 = Buffer.from('GET / HTTP/1.1\r\n\r\n');
  assert.deepEqual(mendPreface(http1), http1);
  const huge = Buffer.concat([MAGIC, Buffer.from('ffffff010400000001', 'hex')]);
  assert.deepEqual(mendPreface(huge), huge);
  const endless = Buffer.concat([MAGIC, ...Array.from({ length: 10_000 }, () => SETTINGS)]);
  assert.deepEqual(mendPreface(endless), endless);
});

test('attack: blocks that break off, or whose lengths lie, are left alone', () => {
  const blocks = [
    '41',
    '417f',
    '4105 2f2f',
    '01ff ffffffffff',
    '40ffffffff',
    '7fffffffffff',
    '4185 2f2f2f2f2f',
  ];
  for (const hex of blocks) {
    const request = frame(0x1, 0x4, hex.replaceAll(' ', ''));
    const sent = Buffer.concat([MAGIC, ACK, request]);
    assert.deepEqual(mendPreface(sent), Buffer.concat([MAGIC, request]), hex);
  }
  const padded = frame(0x1, 0x4 | 0x8, Buffer.from([255, 0x41, 1, 0x2f]));
  assert.deepEqual(
    mendPreface(Buffer.concat([MAGIC, ACK, padded])),
    Buffer.concat([MAGIC, padded]),
  );
});
