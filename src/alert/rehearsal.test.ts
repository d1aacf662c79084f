// Each alert is caused here, as its runbook's "Rehearsal" says, and must come with what a person needs at night.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAlertBook } from './alert-book.ts';
import { ALERT_NAMES, ALERTS, type AlertName, runbookOf } from './catalog.ts';
import type { Condition } from './condition.ts';
import { detect } from './detect.ts';
import { BURN_ALERTS, burningConditions } from './detect-burn.ts';
import type { MeshFacts, PointFact } from './facts.ts';
import { goodFacts, goodPoint, NOON } from './fake-facts.ts';
import { SLI_NAMES, SLIS } from './sli.ts';
import { DEFAULT_SLOS } from './slo.ts';
import { createSloTracker } from './slo-tracker.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const point = (changes: Partial<PointFact>): Partial<MeshFacts> => ({
  points: [goodPoint(changes)],
});
const authority = (changes: Partial<MeshFacts['authority']>): Partial<MeshFacts> => ({
  authority: { ...goodFacts().authority, ...changes },
});
const iso = (ms: number): string => new Date(ms).toISOString();

type FromFacts = Exclude<AlertName, `${string}-budget-burn`>;

const CAUSES: Readonly<Record<FromFacts, Partial<MeshFacts>>> = {
  'policy-refused': point({
    stale: true,
    reason: 'refused version 7 of default: too few signatures',
    refused: [{ namespace: 'default', number: 7, code: 'signature_threshold', message: 'too few' }],
  }),
  'enforcement-point-stale': point({ stale: true, reason: 'enforces version 1 of default' }),
  'enforcement-point-lost': point({ connected: false, stale: true, reason: 'not connected' }),
  'enforcement-point-not-ready': point({ ready: false, readyReason: 'no identity' }),
  'endpoint-unhealthy': point({
    troubled: [{ namespace: 'default', service: 'web', address: '10.0.0.1:80', health: 'ejected' }],
  }),
  'revocation-behind': point({ revocationsCurrent: false }),
  'sidecar-bypassed': point({ exposed: ['0.0.0.0:8080'] }),
  'certificate-expiring': point({ certificateExpiresAt: iso(NOON + 4 * MINUTE) }),
  'control-certificate-expiring': { controlCertificateExpiresAt: NOON + 4 * MINUTE },
  'authority-expiring': authority({ rootsExpireAt: [NOON + 20 * DAY] }),
  'foreign-bundle-expiring': {
    foreignBundles: [{ name: 'west.example', expiresAt: NOON + DAY, fix: 'ask its operator' }],
  },
  'authority-unreachable': authority({ reachable: false, reason: 'connection refused' }),
  'issuance-log-broken': authority({ logVerified: false, logReason: 'entry 4 does not follow 3' }),
  'policy-set-broken': { brokenSets: [{ namespace: 'default', message: 'root mismatch' }] },
  'policy-expiring': { policySets: [{ namespace: 'default', expiresAt: NOON + 13 * DAY }] },
  'policy-expired': { policySets: [{ namespace: 'default', expiresAt: NOON - 1 }] },
  'plaintext-allowed': {
    plaintext: [{ source: 'unknown', destination: 'default/orders', calls: 3 }],
  },
  'denial-burst': {
    bursts: [
      {
        source: 'default/web',
        destination: 'default/orders',
        namespace: 'default',
        denied: 40,
        usual: 0,
        policy: null,
        reason: 'policy_denied',
        denialId: 'd-1',
        expectedBy: undefined,
      },
    ],
  },
  'telemetry-gap': {
    telemetry: {
      failedWrites: 0,
      gaps: [
        { source: 'default/orders/1', namespace: 'default', missing: 20, where: 'seq 1 to 20' },
      ],
    },
  },
  'records-not-stored': { telemetry: { failedWrites: 2, gaps: [] } },
  'sink-failing': {
    sinks: [{ name: 'siem', state: 'failing', lagSeconds: 90, lastError: 'answered 500' }],
  },
  'audit-broken': {
    auditLogs: [{ name: 'control', state: 'failed', problem: 'entry 9 was changed' }],
  },
};

test('where all is well nothing needs a person', () => {
  assert.deepEqual(detect(goodFacts()), []);
});

for (const [name, facts] of Object.entries(CAUSES)) {
  test(`${name} is caused, and says what it is about`, () => {
    const found = detect(goodFacts(facts));
    assert.deepEqual(
      found.map((condition) => condition.name),
      [name],
    );
    checkWhole(found[0]);
  });
}

for (const sli of SLI_NAMES) {
  test(`${BURN_ALERTS[sli]} is caused by an hour in which everything is bad`, () => {
    const tracker = createSloTracker(DEFAULT_SLOS);
    for (let minute = 60; minute >= 0; minute--) {
      const at = NOON - minute * MINUTE;
      if (SLIS[sli].judge === 'count') tracker.count(sli, {}, { good: 0, total: 5 }, at);
      else {
        const valueMs = SLIS[sli].judge === 'atLeast' ? 0 : 120_000;
        tracker.measure(sli, {}, { valueMs, weight: 5 }, at);
      }
    }
    const found = burningConditions(tracker.statuses(NOON));
    assert.deepEqual(
      found.map(({ name, severity }) => [name, severity]),
      [[BURN_ALERTS[sli], ALERTS[BURN_ALERTS[sli]].severity]],
    );
    checkWhole(found[0]);
  });
}

test('a certificate that lives for a minute is not late with twenty seconds left', () => {
  const check = (leftMs: number) =>
    detect(
      goodFacts(point({ certificateLifeMs: MINUTE, certificateExpiresAt: iso(NOON + leftMs) })),
    ).map(({ name }) => name);
  assert.deepEqual(check(20_000), []);
  assert.deepEqual(check(14_000), ['certificate-expiring']);
});

test('every alert of the catalog is rehearsed', () => {
  const rehearsed = [...Object.keys(CAUSES), ...Object.values(BURN_ALERTS)];
  assert.deepEqual(rehearsed.toSorted(), ALERT_NAMES.toSorted());
});

/** It fires when its time has come and not before, with evidence, cause, runbook and a command that changes nothing. */
function checkWhole(condition: Condition | undefined): void {
  assert.ok(condition);
  const book = createAlertBook([], NOON);
  const { forMs, severity } = ALERTS[condition.name];
  const early = book.update([condition], { nowMs: NOON, silences: [] });
  const told =
    forMs === 0 ? early : book.update([condition], { nowMs: NOON + forMs, silences: [] });
  if (forMs > 0) assert.deepEqual(early, []);
  const [event] = told;
  assert.ok(event, 'nobody was told');
  assert.equal(event.severity, severity);
  assert.equal(event.runbook, runbookOf(condition.name));
  assert.ok(event.evidence.length > 0 && event.likely_cause !== '' && event.summary !== '');
  assert.match(event.command, SAFE_COMMAND);
}

const SAFE_COMMAND =
  /^palisade (status|doctor|log |explain |identity list|ca status|ca rotate --rehearse|audit verify|slo list|sink test |apply .*--dry-run)/;
