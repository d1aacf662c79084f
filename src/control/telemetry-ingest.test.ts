import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { ok } from '#lib';
import type { Added } from '#record-store';
import { createSilentLog } from '#telemetry';
import { createMessage, ReportRequestSchema } from '#wire';
import { createTelemetryIngest, type IngestOptions } from './telemetry-ingest.ts';

const NONE: Added = {
  stored: 0,
  duplicates: 0,
  refused: 0,
  refusals: [],
  denied: 0,
  deniedEdges: [],
  records: () => [],
};

/** A stream of one agent that counts how often it was told to wait and to go on. */
class FakeCall extends EventEmitter {
  readonly acknowledged: unknown[] = [];
  isPaused = false;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  write(message: unknown): void {
    this.acknowledged.push(message);
  }
}

test('attack: who sends faster than records are stored waits, and goes on once they are', async () => {
  const gate = Promise.withResolvers<void>();
  const ingest = createTelemetryIngest({
    peer: () => ({ kind: 'agent', id: 'spiffe://cluster.local/palisade/agent/a' }),
    connected: () => undefined,
    records: { add: () => gate.promise.then(() => ok(NONE)) },
    map: { count: () => undefined },
    onStored: () => undefined,
    onCounted: () => undefined,
    onSecurity: () => undefined,
    clock: () => 0,
    log: createSilentLog(),
  } as unknown as IngestOptions);
  const call = new FakeCall();
  const implementation: object = ingest.service.implementation;
  (implementation as { report: (call: FakeCall) => void }).report(call);
  let sent = 0;
  while (!call.isPaused && sent < 100) {
    sent++;
    const lastSeq = BigInt(sent);
    call.emit('data', createMessage(ReportRequestSchema, { node: 'default/web/1', lastSeq }));
  }
  assert.equal(sent, 16, 'told to wait after so many');
  gate.resolve();
  await ingest.close();
  assert.equal(call.isPaused, false);
  assert.equal(call.acknowledged.length, sent, 'and nothing that came is lost');
});
