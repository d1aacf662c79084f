import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Scheduler } from '#lib';
import { type SinkResource, sharesFile } from '#resource';
import { EVENT, type Log } from '#telemetry';
import { createAddressGuard } from './address-guard.ts';
import {
  EVIDENCE_KINDS,
  type Evidence,
  type EvidenceKind,
  type MetricsReading,
  UNNUMBERED,
} from './evidence.ts';
import type { Outcome } from './receiver.ts';
import { sampleEvidence } from './samples.ts';
import { createSink, type Sink, type SinkState } from './sink.ts';
import { catchUp, type EvidenceSource } from './source.ts';
import type { Surroundings } from './surroundings.ts';

/** All sinks of a control plane. */
export type SinkHub = {
  /** Starts what is new, restarts what changed with the queue it has, ends what is gone. */
  readonly configure: (resources: readonly SinkResource[]) => Promise<void>;
  /** Takes in what just became durable. */
  readonly offer: (kind: EvidenceKind, items: readonly Evidence[]) => void;
  /** Reads metrics if a sink is due to get them. */
  readonly meter: (read: () => MetricsReading) => void;
  /** Whether any sink gets this kind. */
  readonly wants: (kind: EvidenceKind) => boolean;
  readonly state: () => readonly SinkState[];
  /** Sends a sink one item of each kind that it gets; undefined where there is no such sink. */
  readonly test: (name: string) => Promise<readonly SinkTest[] | undefined>;
  readonly close: () => Promise<void>;
};

/** What a receiver said to a test. */
export type SinkTest = {
  readonly evidence: EvidenceKind;
  readonly id: string;
  readonly outcome: Outcome;
};

/** What a hub runs on. */
export type HubOptions = {
  /** Holds a folder for each sink, `files` and `secrets`. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly trustDomain: string;
  readonly version: string;
  readonly hostname: string;
  readonly ownPorts: () => readonly number[];
  /** Of the console, for links; empty where there is none. */
  readonly consoleUrl: () => string;
  /** Kinds that can be read again after a restart. */
  readonly sources: Partial<Readonly<Record<EvidenceKind, EvidenceSource>>>;
  readonly clock: () => number;
  readonly scheduler: Scheduler;
  readonly log: Log;
  /** After the condition of some sink changed. */
  readonly onChange?: () => void;
};

/** Creates a hub without sinks. */
export function createSinkHub(options: HubOptions): SinkHub {
  return new RunningHub(options);
}

type Entry = {
  readonly sink: Sink;
  readonly text: string;
  /** Lanes that read up what their source holds; true where something came meanwhile. */
  readonly catching: Map<EvidenceKind, boolean>;
};

// A database that is away or overloaded; what waits there is on disk.
const CATCH_UP_AGAIN_MS = 5_000;

class RunningHub implements SinkHub {
  readonly #options: HubOptions;
  readonly #entries = new Map<string, Entry>();
  // One change of the configuration after the other.
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  configure(resources: readonly SinkResource[]): Promise<void> {
    const mine = this.#turn.then(() => this.#reconcile(resources));
    this.#turn = mine;
    return mine;
  }

  offer(kind: EvidenceKind, items: readonly Evidence[]): void {
    for (const { sink, catching } of this.#entries.values()) {
      if (catching.has(kind)) catching.set(kind, true);
      else sink.take(kind, items);
    }
  }

  meter(read: () => MetricsReading): void {
    const now = this.#options.clock();
    const due = Array.from(this.#entries.values()).filter(({ sink }) => sink.isMetricsDue(now));
    if (due.length === 0) return;
    const value = read();
    const id = `metrics:${this.#options.hostname}:${Date.parse(value.time)}`;
    for (const { sink } of due) {
      sink.take('metrics', [{ kind: 'metrics', id, position: UNNUMBERED, value }]);
    }
  }

  wants(kind: EvidenceKind): boolean {
    return Array.from(this.#entries.values()).some(({ sink }) => sink.lanes.has(kind));
  }

  state(): readonly SinkState[] {
    return Array.from(this.#entries.values(), ({ sink }) => sink.state());
  }

  async test(name: string): Promise<readonly SinkTest[] | undefined> {
    const sink = this.#entries.get(name)?.sink;
    if (sink === undefined) return undefined;
    const { clock, trustDomain } = this.#options;
    const tests: SinkTest[] = [];
    for (const evidence of sink.lanes.keys()) {
      const item = sampleEvidence(evidence, { nowMs: clock(), trustDomain });
      tests.push({ evidence, id: item.id, outcome: await sink.send([item]) });
    }
    return tests;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await Promise.all(Array.from(this.#entries.values(), ({ sink }) => sink.close()));
    this.#entries.clear();
  }

  async #reconcile(resources: readonly SinkResource[]): Promise<void> {
    if (this.#isClosed) return;
    const wanted = new Map(resources.map((resource) => [resource.metadata.name, resource]));
    for (const [name, { sink, text }] of Array.from(this.#entries)) {
      const resource = wanted.get(name);
      if (resource !== undefined && JSON.stringify(resource) === text) continue;
      this.#entries.delete(name);
      await sink.close();
      if (resource === undefined) this.#forget(name);
    }
    for (const [name, resource] of wanted) {
      if (!this.#entries.has(name)) this.#start(name, resource);
    }
  }

  #start(name: string, resource: SinkResource): void {
    const { scheduler, log, sources } = this.#options;
    try {
      const surroundings = this.#surroundings(name, resource);
      const told = () => this.#tell(name);
      const sink = createSink({ resource, surroundings, scheduler, onChange: told });
      const readable = [...sink.lanes.keys()].filter((kind) => sources[kind] !== undefined);
      const entry: Entry = {
        sink,
        text: JSON.stringify(resource),
        catching: new Map(readable.map((kind) => [kind, false])),
      };
      this.#entries.set(name, entry);
      for (const kind of readable) void this.#catchUp(entry, kind);
      log.info(EVENT.sinkStarted, { sink: name, kind: sink.state().kind });
    } catch (error) {
      // One that cannot be started must not keep the others, or the control plane, from working.
      log.error(EVENT.sinkFailed, { sink: name, error });
    }
  }

  async #catchUp(entry: Entry, kind: EvidenceKind): Promise<void> {
    const { sink, catching } = entry;
    const lane = sink.lanes.get(kind);
    const source = this.#options.sources[kind];
    if (lane === undefined || source === undefined) return;
    const isCurrent = (): boolean => {
      const missed = catching.get(kind) === true && !this.#isClosed;
      if (missed) catching.set(kind, false);
      else catching.delete(kind);
      return !missed;
    };
    try {
      await catchUp({ lane, source, offer: (items) => sink.take(kind, items), isCurrent });
    } catch (error) {
      this.#options.log.error(EVENT.sinkFailed, { sink: sink.name, evidence: kind, error });
      // Until it can be read the lane hears nothing live, or what lies before that would never be sent.
      this.#options.scheduler.after(CATCH_UP_AGAIN_MS, () => {
        const isThere = this.#entries.get(sink.name) === entry && !this.#isClosed;
        if (isThere) void this.#catchUp(entry, kind);
      });
    }
  }

  #tell(name: string): void {
    const { log, onChange } = this.#options;
    const state = this.#entries.get(name)?.sink.state();
    const trouble = state?.lanes.find(({ condition }) => condition === 'retrying');
    if (trouble === undefined) log.info(EVENT.sinkRecovered, { sink: name });
    else log.warn(EVENT.sinkRetrying, { sink: name, reason: trouble.lastError });
    onChange?.();
  }

  #surroundings(name: string, { spec }: SinkResource): Surroundings {
    const { folder, env, version, ownPorts } = this.#options;
    const { trustDomain, hostname, consoleUrl, clock } = this.#options;
    const secretsFolder = join(folder, 'secrets');
    mkdirSync(secretsFolder, { recursive: true, mode: 0o700 });
    return {
      sink: name,
      trustDomain,
      version,
      userAgent: `palisade/${version === '' ? '0' : version}`,
      hostname,
      consoleUrl,
      tls: spec.tls,
      secrets: { folder: secretsFolder, env },
      guard: createAddressGuard({ ownPorts, allowed: spec.allowAddresses ?? [] }),
      clock,
      folder: join(folder, 'queues', name),
      fileOwner: () => this.#fileOwner(name, spec),
      filesFolder: join(folder, 'files'),
    };
  }

  // The first by name, whichever was started first. Nobody applies two, but another client may have signed them.
  #fileOwner(name: string, { file }: SinkResource['spec']): string | undefined {
    if (file === undefined) return undefined;
    return Array.from(this.#entries.values(), ({ sink }) => sink).find(
      ({ name: other, resource }) => other < name && sharesFile(resource.spec.file, file),
    )?.name;
  }

  /** What waited for a sink that is gone goes; what it refused stays for a person to look at. */
  #forget(name: string): void {
    for (const kind of EVIDENCE_KINDS) {
      rmSync(join(this.#options.folder, 'queues', name, kind), { recursive: true, force: true });
    }
  }
}
