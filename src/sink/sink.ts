import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseDuration, type Scheduler } from '#lib';
import type { SinkResource, SinkSpec } from '#resource';
import { createReceiver, receiverKind } from './create-receiver.ts';
import { createDeadLetters } from './dead-letter.ts';
import { EVIDENCE_KINDS, type Evidence, type EvidenceKind } from './evidence.ts';
import { createLane, type Lane, type LaneState } from './lane.ts';
import { matches } from './matches.ts';
import { openQueue } from './queue.ts';
import { deliverSafely, type Outcome, type Receiver } from './receiver.ts';
import type { Surroundings } from './surroundings.ts';

/** One receiver with a lane for each kind of evidence it gets. */
export type Sink = {
  readonly name: string;
  readonly resource: SinkResource;
  readonly lanes: ReadonlyMap<EvidenceKind, Lane>;
  /** Takes in those items that it asked for. */
  readonly take: (kind: EvidenceKind, items: readonly Evidence[]) => void;
  /** Whether it gets metrics and has had none for its interval. */
  readonly isMetricsDue: (nowMs: number) => boolean;
  /** Sends items past the queues and says what the receiver answered. */
  readonly send: (items: readonly Evidence[]) => Promise<Outcome>;
  readonly state: () => SinkState;
  readonly close: () => Promise<void>;
};

/** How a sink is doing. */
export type SinkState = {
  readonly name: string;
  readonly kind: ReturnType<typeof receiverKind>;
  readonly format: string;
  /** Of the lane that is worst off. */
  readonly state: LaneState['condition'];
  readonly lanes: readonly (LaneState & { readonly evidence: EvidenceKind })[];
};

/** What a sink is made with. */
export type SinkOptions = {
  readonly resource: SinkResource;
  readonly surroundings: Surroundings;
  readonly scheduler: Scheduler;
  readonly random?: () => number;
  readonly onChange?: () => void;
};

const WORST_FIRST = ['failing', 'retrying', 'paused', 'ok'] as const;

/** Starts a sink; throws where its folder cannot be made or read. */
export function createSink(options: SinkOptions): Sink {
  const { resource, surroundings } = options;
  const { spec } = resource;
  const { name } = resource.metadata;
  mkdirSync(surroundings.folder, { recursive: true, mode: 0o700 });
  const receiver = createReceiver(spec, surroundings);
  const lanes = new Map<EvidenceKind, Lane>();
  for (const kind of EVIDENCE_KINDS) {
    if (spec.evidence[kind] !== undefined) lanes.set(kind, openLane(kind, receiver, options));
  }
  const intervalMs = durationMs(spec.evidence.metrics?.interval ?? '');
  let meteredAt = Number.NEGATIVE_INFINITY;
  return {
    name,
    resource,
    lanes,
    isMetricsDue(nowMs) {
      // A clock that was set back must not silence it.
      const isDue = nowMs - meteredAt >= intervalMs || nowMs < meteredAt;
      if (!lanes.has('metrics') || !isDue) return false;
      meteredAt = nowMs;
      return true;
    },
    take(kind, items) {
      const lane = lanes.get(kind);
      if (lane === undefined) return;
      const wanted = items.filter((item) => matches(spec.evidence, item));
      if (wanted.length > 0) lane.take(wanted);
      // What it does not get is not looked at again after a restart.
      lane.queue.startAt(items.at(-1)?.position ?? -1);
    },
    send: (items) => sendNow(receiver, items, timeoutOf(spec)),
    state() {
      const states = [...lanes].map(([evidence, lane]) => ({ evidence, ...lane.state() }));
      const conditions = new Set(states.map(({ condition }) => condition));
      const state = WORST_FIRST.find((condition) => conditions.has(condition)) ?? 'ok';
      return { name, kind: receiverKind(spec), format: spec.format, state, lanes: states };
    },
    async close() {
      await Promise.all(Array.from(lanes.values(), (lane) => lane.close()));
      receiver.close();
    },
  };
}

function openLane(kind: EvidenceKind, receiver: Receiver, options: SinkOptions): Lane {
  const { resource, surroundings, scheduler, random, onChange } = options;
  const { limits, paused } = resource.spec;
  const { clock, folder } = surroundings;
  const queue = openQueue({
    folder: join(folder, kind),
    maxBytes: limits.maxQueueBytes,
    maxAgeMs: durationMs(limits.maxAge),
    clock,
    ...(kind === 'records' ? { isSpare: isSuccess } : {}),
  });
  const lane = createLane({
    kind,
    queue,
    receiver,
    deadLetters: createDeadLetters(join(folder, 'dead-letter.jsonl'), clock),
    maxBatch: limits.maxBatch,
    groupOf: resource.spec.format === 'alertmanager' ? alertGroup : undefined,
    timeoutMs: timeoutOf(resource.spec),
    clock,
    scheduler,
    ...(random === undefined ? {} : { random }),
    ...(onChange === undefined ? {} : { onChange }),
  });
  lane.pause(paused);
  return lane;
}

function alertGroup(item: Evidence): string {
  return item.kind === 'alerts' ? item.value.group : '';
}

// Calls that were allowed and answered go before errors and denials. A quote in a value stands behind a backslash, so
// none can look like these members.
function isSuccess(line: string): boolean {
  return line.includes('"verdict":"allow"') && !/"status":5\d\d/.test(line);
}

async function sendNow(
  receiver: Receiver,
  items: readonly Evidence[],
  timeoutMs: number,
): Promise<Outcome> {
  const signal = AbortSignal.timeout(timeoutMs);
  const tooLate = new Promise<Outcome>((resolve) => {
    const reason = `no answer within ${timeoutMs} ms`;
    signal.addEventListener('abort', () => resolve({ kind: 'retry', reason }));
  });
  return await Promise.race([deliverSafely(receiver, items, signal), tooLate]);
}

function timeoutOf({ limits }: SinkSpec): number {
  return durationMs(limits.timeout);
}

function durationMs(text: string): number {
  const parsed = parseDuration(text);
  // The resource layer has read it; 10 s stands for nothing that can come here.
  return parsed.ok ? parsed.value : 10_000;
}
