import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseResources } from '#resource';

const docs = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('replay: the verification in the reference takes a delivery once, and none that is forged, old or changed', async (t) => {
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(docs('reference/sinks.md')) ?? [];
  const path = join(tmpdir(), `palisade-webhook-${process.pid}.mjs`);
  writeFileSync(path, code);
  t.after(() => rmSync(path));
  const { isGenuine } = await import(pathToFileURL(path).href);
  const key = Buffer.alloc(32, 7);
  const nowMs = Date.parse('2026-01-31T12:00:00Z');
  const timestamp = String(nowMs / 1000);
  const body = Buffer.from('{"id":"msg_1"}');
  const mac = (secret: Buffer, id: string, time = timestamp) =>
    `v1,${createHmac('sha256', secret).update(`${id}.${time}.`).update(body).digest('base64')}`;
  const verify = (id: string, signature: string, more: object = {}) =>
    isGenuine({
      headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature },
      body,
      key,
      nowMs,
      ...more,
    });
  assert.equal(verify('msg_1', mac(key, 'msg_1')), true);
  assert.equal(verify('msg_1', mac(key, 'msg_1')), false, 'the same again');
  assert.equal(
    verify('msg_2', `v1,AAAA ${mac(key, 'msg_2')}`),
    true,
    'the second of two signatures',
  );
  assert.equal(verify('msg_3', mac(Buffer.alloc(32, 8), 'msg_3')), false, 'another key');
  assert.equal(verify('msg_4', mac(key, 'msg_3')), false, 'another id');
  assert.equal(
    verify('msg_5', mac(key, 'msg_5'), { body: Buffer.from('{}') }),
    false,
    'another body',
  );
  assert.equal(verify('msg_6', mac(key, 'msg_6'), { nowMs: nowMs + 301_000 }), false, 'too old');
  assert.equal(
    verify('msg_7', mac(key, 'msg_7'), { nowMs: nowMs - 301_000 }),
    false,
    'from the future',
  );
  assert.equal(verify('msg_8', ''), false, 'no signature');
});

test('the resources in the reference and the guide are as they should be', () => {
  for (const page of ['reference/sinks.md', 'guides/send-evidence.md']) {
    const texts = [...docs(page).matchAll(/```yaml\n(apiVersion[\s\S]*?)```/g)].map(
      ([, text = '']) => text,
    );
    assert.ok(texts.length > 0, page);
    for (const text of texts) {
      const { diagnostics } = parseResources([{ file: page, text }], {
        defaultNamespace: 'default',
        trustDomain: 'cluster.local',
      });
      assert.deepEqual(diagnostics, [], text);
    }
  }
});
