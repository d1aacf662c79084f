import { randomUUID } from 'node:crypto';
import {
  type AlertEvent,
  burningConditions,
  type Condition,
  certificateNoticeMs,
  checkSilence,
  createAlertBook,
  createDenialWatch,
  createSloTracker,
  detect,
  judgePosture,
  type MeshFacts,
  type Posture,
  type Silence,
  type SilenceRequest,
  type SliName,
  type Slo,
  type SloStatus,
  type SloTracker,
} from '#alert';
import { fail, ok, type Result } from '#lib';
import type { SourceHour } from '#record-store';
import { callerName } from '#record-store';
import { EVENT, type Log } from '#telemetry';
import type { EdgeCount, ReportRequest } from '#wire';
import { collectFacts, type FactSources, type LateSources } from './alert-facts.ts';
import type { AlertFiles, AlertState } from './alert-files.ts';
import type { AlertNumbers } from './alert-metrics.ts';
import { createCompletenessWatch } from './completeness-watch.ts';
import { type Broadcast, createBroadcast } from './events.ts';
import { postureFacts } from './posture.ts';
import { createPropagationWatch } from './propagation.ts';
import type { ResourceView } from './resource-sets.ts';

/** What needs a person, and how the objectives stand. */
export type Alerts = {
  readonly alerts: () => readonly AlertEvent[];
  /** What holds at this moment, whether it fires yet or not. */
  readonly conditions: () => Promise<readonly Condition[]>;
  readonly slos: () => readonly SloStatus[];
  /** Those that have not ended. */
  readonly silences: () => readonly Silence[];
  /** Makes one, on disk when this returns; an error in words, whose kind says whose fault it is. */
  readonly silence: (request: SilenceRequest, owner: string) => Result<Silence, SilenceError>;
  /** Ends one; `not_found` where there is none of that id. */
  readonly unsilence: (id: string) => Result<Silence, SilenceError>;
  /** Hears each change of an alert that somebody has to be told; returns how to stop. */
  readonly onAlert: (listener: (event: AlertEvent) => void) => () => void;
  readonly countEdge: (edge: EdgeCount) => void;
  /** Counts what a workload says of its handshakes and decisions. */
  readonly countSecurity: (report: Pick<ReportRequest, 'node' | 'security'>) => void;
  /** Counts an answer of the API; `tookMs` undefined for a stream, which ends when its reader likes. */
  readonly countRequest: (status: number, tookMs: number | undefined) => void;
  /** Replaces the objectives. */
  readonly setSlos: (slos: readonly Slo[]) => void;
  /** Begins to look at what exists only once the ports are open. */
  readonly attach: (late: LateSources) => void;
  readonly posture: () => Promise<Posture & { readonly trend: AlertState['trend'] }>;
  /** For whoever scrapes; the posture is that of the last evaluation. */
  readonly numbers: () => AlertNumbers;
  readonly evaluate: () => Promise<void>;
  readonly close: () => void;
};

/** Why a silence was not made or ended. */
export type SilenceError = {
  readonly kind: 'bad_request' | 'not_found' | 'storage_failed';
  readonly message: string;
};

/** What alerting looks at, keeps and tells. */
export type AlertOptions = Omit<FactSources, 'watch' | 'late' | 'failedWrites'> & {
  readonly resources: ResourceView;
  /** What became of the records of this hour and the last, by source. */
  readonly hours: () => readonly SourceHour[];
  readonly files: AlertFiles;
  /** To begin with. */
  readonly slos: readonly Slo[];
  readonly onChange: () => void;
  readonly onPropagated: (tookMs: number) => void;
  readonly clock: () => number;
  readonly log: Log;
};

const REPORTED: Readonly<Record<string, SliName | undefined>> = {
  handshake: 'handshake_success',
  authentication: 'authentication_success',
  decision_latency: 'decision_latency',
};
const EVALUATE_MS = 5_000;
const MINUTE_MS = 60_000;
const SAVE_MS = 60_000;
const RECENT_MS = 5 * 60_000;
const MAX_SILENCES = 1_000;
// A longer absence was meant, whatever the file says: nobody runs a mesh that is down for an hour unnoticed.
const MAX_OUTAGE_MS = 3_600_000;
const HOUR_MS = 3_600_000;
// A month of hours.
const MAX_TREND = 31 * 24;

/** Starts looking; `close` writes down what is known. */
export function createAlerts(options: AlertOptions): Alerts {
  return new AlertDesk(options);
}

class AlertDesk implements Alerts {
  readonly #options: AlertOptions;
  readonly #watch = createDenialWatch();
  readonly #propagation = createPropagationWatch();
  readonly #completeness = createCompletenessWatch();
  readonly #tracker: SloTracker;
  readonly #book: ReturnType<typeof createAlertBook>;
  readonly #told: Broadcast<AlertEvent>;
  readonly #timer: NodeJS.Timeout;
  #silences: readonly Silence[];
  #late: LateSources | undefined;
  #evaluating = false;
  #evaluatedAt: number;
  #savedAt: number;
  #trend: AlertState['trend'];
  #score = 0;
  #failures: readonly { readonly at: number; readonly total: number }[] = [];

  constructor(options: AlertOptions) {
    this.#options = options;
    const { files, clock, log } = options;
    const saved = files.loadState();
    const now = clock();
    this.#silences = files.loadSilences();
    this.#book = createAlertBook(saved?.alerts ?? [], now);
    this.#tracker = createSloTracker(options.slos, saved?.budgets);
    this.#trend = saved?.trend ?? [];
    this.#told = createBroadcast((error) => log.error(EVENT.listenerFailed, { error }));
    this.#evaluatedAt = now;
    this.#savedAt = now;
    this.#countOutage(saved, now);
    this.#timer = setInterval(() => void this.evaluate(), EVALUATE_MS);
  }

  alerts(): readonly AlertEvent[] {
    return this.#book.alerts();
  }

  async conditions(): Promise<readonly Condition[]> {
    return this.#conditionsOf(await this.#facts());
  }

  slos(): readonly SloStatus[] {
    return this.#tracker.statuses(this.#options.clock());
  }

  silences(): readonly Silence[] {
    const now = this.#options.clock();
    return this.#silences.filter(({ endsAt }) => endsAt > now);
  }

  silence(request: SilenceRequest, owner: string): Result<Silence, SilenceError> {
    const now = this.#options.clock();
    const checked = checkSilence(request, now);
    if (!checked.ok) return fail({ kind: 'bad_request', message: checked.error });
    const active = this.silences();
    if (active.length >= MAX_SILENCES) {
      return fail({ kind: 'bad_request', message: 'there are 1,000 silences; end some first' });
    }
    const silence: Silence = { id: randomUUID(), owner, createdAt: now, ...request };
    return this.#keep([...active, silence], silence);
  }

  unsilence(id: string): Result<Silence, SilenceError> {
    const active = this.silences();
    const ended = active.find((silence) => silence.id === id);
    if (ended === undefined)
      return fail({ kind: 'not_found', message: 'there is no such silence' });
    return this.#keep(
      active.filter((silence) => silence !== ended),
      ended,
    );
  }

  onAlert(listener: (event: AlertEvent) => void): () => void {
    return this.#told.listen(listener);
  }

  countEdge(edge: EdgeCount): void {
    // The server's word: its caller may not know why it was refused, or may lie.
    if (edge.reporter !== 'destination') return;
    const now = this.#options.clock();
    const total = Number(edge.requests);
    const denied = Math.min(total, Math.max(0, Number(edge.denied)));
    const scope = { namespace: edge.destinationNamespace, service: edge.destinationService };
    this.#tracker.count('denial_rate', scope, { good: total - denied, total }, now);
    this.#watch.count(
      {
        source: callerName(edge.sourceId || null, edge.sourceService || null),
        destination: `${edge.destinationNamespace}/${edge.destinationService}`,
        denied,
      },
      now,
    );
  }

  // A field of the class, so that it can be handed on by itself.
  readonly countSecurity: Alerts['countSecurity'] = ({ node, security }) => {
    const now = this.#options.clock();
    const [namespace, service] = node.split('/');
    for (const { name, good, total } of security) {
      const sli = REPORTED[name];
      if (sli === undefined) continue;
      const tally = { good: Number(good), total: Number(total) };
      this.#tracker.count(sli, { namespace, service }, tally, now);
    }
  };

  countRequest(status: number, tookMs: number | undefined): void {
    const now = this.#options.clock();
    const good = status < 500 ? 1 : 0;
    this.#tracker.count('control_availability', {}, { good, total: 1 }, now);
    if (tookMs === undefined) return;
    this.#tracker.measure('control_latency', {}, { valueMs: tookMs, weight: 1 }, now);
  }

  setSlos(slos: readonly Slo[]): void {
    this.#tracker.setSlos(slos);
  }

  attach(late: LateSources): void {
    this.#late = late;
  }

  async posture(): Promise<Posture & { readonly trend: AlertState['trend'] }> {
    return { ...this.#postureOf(await this.#facts()), trend: this.#trend };
  }

  numbers(): AlertNumbers {
    return { alerts: this.alerts(), slos: this.slos(), posture: this.#score };
  }

  async evaluate(): Promise<void> {
    if (this.#evaluating) return;
    this.#evaluating = true;
    const { clock, log, onChange } = this.#options;
    try {
      const facts = await this.#facts();
      this.#observe(facts);
      this.#follow(facts);
      const told = this.#book.update(await this.#conditionsOf(facts), {
        nowMs: facts.nowMs,
        silences: this.silences(),
      });
      for (const event of told) this.#told.publish(event);
      if (told.length > 0) onChange();
      if (told.length > 0 || Math.abs(clock() - this.#savedAt) >= SAVE_MS) this.#save(false);
    } catch (error) {
      log.error(EVENT.alertsNotEvaluated, { error });
    } finally {
      this.#evaluating = false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#save(true);
  }

  #conditionsOf(facts: MeshFacts): readonly Condition[] {
    return [...detect(facts), ...burningConditions(this.#tracker.statuses(facts.nowMs))];
  }

  #facts(): Promise<MeshFacts> {
    const now = this.#options.clock();
    return collectFacts(
      {
        ...this.#options,
        watch: this.#watch,
        late: () => this.#late,
        failedWrites: () => this.#recentFailures(now),
      },
      now,
    );
  }

  #postureOf(facts: MeshFacts): Posture {
    const { map, resources } = this.#options;
    const slos = this.#tracker.statuses(facts.nowMs);
    return judgePosture(
      postureFacts({ facts, edges: map.edges(), resources: resources.now(), slos }),
    );
  }

  /** Judges the posture, and notes it once an hour. */
  #follow(facts: MeshFacts): void {
    this.#score = this.#postureOf(facts).score;
    const hour = Math.floor(facts.nowMs / HOUR_MS) * HOUR_MS;
    const last = this.#trend.at(-1)?.[0] ?? 0;
    if (hour > last) this.#trend = [...this.#trend.slice(1 - MAX_TREND), [hour, this.#score]];
  }

  #recentFailures(now: number): number {
    const total = this.#late?.failedWrites() ?? 0;
    const recent = this.#failures.filter(({ at }) => Math.abs(now - at) < RECENT_MS);
    this.#failures = [...recent, { at: now, total }];
    return total - (this.#failures[0]?.total ?? total);
  }

  /** Takes the samples of indicators that nobody reports. */
  #observe({ nowMs: now, points: facts }: MeshFacts): void {
    this.#tracker.look(now);
    const points = this.#options.enforcement.status();
    for (const { tookMs, ...scope } of this.#propagation.look(points, now)) {
      this.#options.onPropagated(tookMs);
      const where = {
        namespace: scope.namespace ?? undefined,
        service: scope.service ?? undefined,
      };
      this.#tracker.measure('policy_propagation', where, { valueMs: tookMs, weight: 1 }, now);
    }
    for (const point of facts) {
      const { connected, certificateExpiresAt, namespace, service } = point;
      if (!connected || certificateExpiresAt === null) continue;
      const where = { namespace: namespace ?? undefined, service: service ?? undefined };
      const measured = {
        valueMs: Date.parse(certificateExpiresAt) - now,
        weight: 1,
        enoughMs: certificateNoticeMs(point, Number.POSITIVE_INFINITY),
      };
      this.#tracker.measure('certificate_horizon', where, measured, now);
    }
    for (const { good, total, ...where } of this.#completeness.look(this.#options.hours())) {
      this.#tracker.count('telemetry_completeness', where, { good, total }, now);
    }
    const seconds = Math.max(0, Math.min(now - this.#evaluatedAt, RECENT_MS)) / 1_000;
    this.#evaluatedAt = now;
    this.#tracker.count('control_availability', {}, { good: seconds, total: seconds }, now);
  }

  #countOutage(saved: AlertState | undefined, now: number): void {
    const awayMs = now - (saved?.at ?? now);
    if (saved === undefined || saved.stopped || awayMs > MAX_OUTAGE_MS || awayMs <= SAVE_MS) return;
    // Minute by minute, as it passed: an outage is not the mistake of one moment.
    for (let at = saved.at; at < now; at += MINUTE_MS) {
      const total = Math.min(MINUTE_MS, now - at) / 1_000;
      this.#tracker.count('control_availability', {}, { good: 0, total }, at);
    }
  }

  #keep(next: readonly Silence[], silence: Silence): Result<Silence, SilenceError> {
    const saved = this.#options.files.saveSilences(next);
    if (!saved.ok) {
      const message = `nothing was changed: ${saved.error}`;
      return fail({ kind: 'storage_failed', message });
    }
    this.#silences = next;
    this.#options.onChange();
    void this.evaluate();
    return ok(silence);
  }

  #save(stopped: boolean): void {
    const { clock, files, log } = this.#options;
    const at = clock();
    this.#savedAt = at;
    const saved = files.saveState({
      alerts: this.#book.save(),
      budgets: this.#tracker.save(),
      trend: this.#trend,
      at,
      stopped,
    });
    if (!saved.ok) log.warn(EVENT.alertsNotKept, { reason: saved.error });
  }
}
