import type { OutlierDetection } from '#snapshot';

/** How one try ended, as far as it says something of the endpoint. */
export type TryOutcome = 'ok' | 'gateway_error' | 'connect_failed';

/** Why an endpoint is left alone. */
export type EjectionReason = 'gateway_errors' | 'connect_failures' | 'success_rate';

/** What passive detection knows of one endpoint. Times are on the clock of whoever calls. */
export type OutlierRecord = {
  gatewayErrors: number;
  connectFailures: number;
  /** Of the interval under way. */
  successes: number;
  tries: number;
  /** 0 while it is not ejected. */
  ejectedUntil: number;
  /** How often it was ejected, less one for each interval in which it was not. */
  ejections: number;
};

/** Nothing is known of an endpoint yet. */
export function createOutlierRecord(): OutlierRecord {
  return {
    gatewayErrors: 0,
    connectFailures: 0,
    successes: 0,
    tries: 0,
    ejectedUntil: 0,
    ejections: 0,
  };
}

/** Notes how a try ended; returns why the endpoint should be ejected now, if it should. */
export function noteOutcome(
  record: OutlierRecord,
  outcome: TryOutcome,
  settings: OutlierDetection,
): EjectionReason | undefined {
  record.tries++;
  if (outcome === 'ok') {
    record.successes++;
    record.gatewayErrors = 0;
    record.connectFailures = 0;
    return undefined;
  }
  if (outcome === 'gateway_error') {
    record.connectFailures = 0;
    return reached(++record.gatewayErrors, settings.consecutiveGatewayErrors)
      ? 'gateway_errors'
      : undefined;
  }
  return reached(++record.connectFailures, settings.consecutiveConnectFailures)
    ? 'connect_failures'
    : undefined;
}

/** Leaves the endpoint alone: each time longer, as Envoy does, up to the longest. */
export function eject(record: OutlierRecord, settings: OutlierDetection, now: number): void {
  record.ejections++;
  const forMs = Math.min(settings.baseEjectionMs * record.ejections, settings.maxEjectionMs);
  record.ejectedUntil = now + forMs;
  record.gatewayErrors = 0;
  record.connectFailures = 0;
}

export function isEjected(record: OutlierRecord, now: number): boolean {
  return record.ejectedUntil > now;
}

/**
 * Whether one more of `total` may be ejected. With a single endpoint none is, for there is nothing
 * else to ask; with more, one always may be, as in Envoy.
 */
export function mayEject(total: number, ejected: number, settings: OutlierDetection): boolean {
  if (total < 2 || settings.maxEjectionPercent === 0) return false;
  const most = Math.max(1, Math.floor((total * settings.maxEjectionPercent) / 100));
  return ejected < most;
}

/**
 * Ends an interval: those that were not ejected in it are forgiven one ejection, and the tries begin
 * anew. Returns who should be ejected for succeeding far less often than the others.
 */
export function endInterval(
  records: readonly OutlierRecord[],
  settings: OutlierDetection,
  now: number,
): readonly OutlierRecord[] {
  const outliers = successRateOutliers(records, settings);
  for (const record of records) {
    if (!isEjected(record, now) && record.ejections > 0) record.ejections--;
    record.successes = 0;
    record.tries = 0;
  }
  return outliers;
}

function successRateOutliers(
  records: readonly OutlierRecord[],
  { successRate }: OutlierDetection,
): readonly OutlierRecord[] {
  if (successRate === undefined) return [];
  const { minimumHosts, requestVolume, stdevFactor } = successRate;
  // One that answered little says little.
  const judged = records.filter(({ tries }) => tries >= requestVolume);
  if (judged.length < minimumHosts) return [];
  const rates = judged.map(({ successes, tries }) => successes / tries);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  const least = mean - stdevFactor * Math.sqrt(variance);
  return judged.filter((_, at) => (rates[at] ?? 1) < least);
}

function reached(count: number, threshold: number): boolean {
  return threshold > 0 && count >= threshold;
}
