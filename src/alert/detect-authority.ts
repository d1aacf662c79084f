import { ALERTS, type AlertName, type Severity } from './catalog.ts';
import { type Condition, shellWord } from './condition.ts';
import type { MeshFacts } from './facts.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const POLICY_NOTICE_MS = 14 * DAY_MS;
const ROOT_NOTICE_MS = 30 * DAY_MS;
const ROOT_URGENT_MS = 3 * DAY_MS;
const CONTROL_NOTICE_MS = 5 * MINUTE_MS;

/** What is wrong with what was signed. */
export function policySetConditions({
  brokenSets,
  policySets,
  nowMs,
}: MeshFacts): readonly Condition[] {
  const broken = brokenSets.map(({ namespace, message }) =>
    condition('policy-set-broken', {
      labels: { namespace },
      summary: `the stored policy of ${namespace} does not verify (${message}); nothing of it is distributed`,
      evidence: { text: message, link: '/policies' },
      command: 'palisade doctor',
    }),
  );
  const ending = policySets.flatMap(({ namespace, expiresAt }) => {
    const leftMs = expiresAt - nowMs;
    if (leftMs > POLICY_NOTICE_MS) return [];
    const when = new Date(expiresAt).toISOString();
    const summary =
      leftMs <= 0
        ? `the policy of ${namespace} expired on ${when}; proxies that restart will not load it`
        : `the policy of ${namespace} expires on ${when}`;
    return [
      condition(leftMs <= 0 ? 'policy-expired' : 'policy-expiring', {
        labels: { namespace },
        summary,
        evidence: { text: `signed until ${when}`, link: '/policies' },
        command: `palisade apply -n ${shellWord(namespace)} -f PATH --dry-run`,
      }),
    ];
  });
  return [...broken, ...ending];
}

/** What is wrong with the certificate authority, and with the certificates that everything stands under. */
export function authorityConditions(facts: MeshFacts): readonly Condition[] {
  return [
    ...logConditions(facts),
    ...rootConditions(facts),
    ...dueConditions(facts),
    ...foreignConditions(facts),
    ...controlConditions(facts),
  ];
}

function logConditions({ authority }: MeshFacts): readonly Condition[] {
  const { reachable, reason, logVerified, logReason } = authority;
  const found: Condition[] = [];
  if (!reachable) {
    found.push(
      condition('authority-unreachable', {
        labels: {},
        summary: `the certificate authority's log cannot be read (${reason}); identities stay good until they expire`,
        evidence: { text: reason, link: '/identities' },
        command: 'palisade doctor',
      }),
    );
  }
  if (logVerified === false) {
    found.push(
      condition('issuance-log-broken', {
        labels: {},
        summary: `the certificate authority's log contradicts itself: ${logReason}`,
        evidence: { text: logReason, link: '/evidence' },
        command: 'palisade audit verify',
      }),
    );
  }
  return found;
}

function rootConditions({ authority, nowMs }: MeshFacts): readonly Condition[] {
  // With a successor in the trust root the old one may run out: only the last to expire is a problem.
  const last = Math.max(...authority.rootsExpireAt);
  const leftMs = last - nowMs;
  if (authority.rootsExpireAt.length === 0 || leftMs > ROOT_NOTICE_MS) return [];
  const when = new Date(last).toISOString();
  return [
    condition('authority-expiring', {
      severity: leftMs < ROOT_URGENT_MS ? 'page' : 'ticket',
      labels: {},
      summary: `the last root of the trust domain expires on ${when}; every identity ends with it`,
      evidence: { text: `root until ${when}`, link: '/identities' },
      command: 'palisade ca rotate --rehearse',
    }),
  ];
}

function dueConditions({ authority, nowMs }: MeshFacts): readonly Condition[] {
  return authority.due.map(({ kind, name, expiresAt, fix }) => {
    const when = new Date(expiresAt).toISOString();
    const what = kind.replaceAll('_', ' ');
    return condition('authority-expiring', {
      severity: expiresAt - nowMs < ROOT_URGENT_MS ? 'page' : 'ticket',
      labels: { kind, name },
      summary: `the authority's ${what} ${name} expires on ${when}, and nothing follows it yet: ${fix}`,
      evidence: { text: `${what} until ${when}`, link: '/identities' },
      command: 'palisade ca status',
    });
  });
}

function foreignConditions({ foreignBundles, nowMs }: MeshFacts): readonly Condition[] {
  return foreignBundles.map(({ name, expiresAt, fix }) => {
    const when = new Date(expiresAt).toISOString();
    const verb = expiresAt <= nowMs ? 'is good for nothing since' : 'is to be renewed, and ends on';
    return condition('foreign-bundle-expiring', {
      severity: expiresAt - nowMs < MINUTE_MS ? 'page' : 'ticket',
      labels: { trust_domain: name },
      summary: `the bundle of ${name} ${verb} ${when}: ${fix}`,
      evidence: { text: `bundle until ${when}`, link: '/identities' },
      command: 'palisade ca status',
    });
  });
}

function controlConditions(facts: MeshFacts): readonly Condition[] {
  const { controlCertificateExpiresAt: expiresAt, nowMs } = facts;
  if (expiresAt - nowMs >= CONTROL_NOTICE_MS) return [];
  const when = new Date(expiresAt).toISOString();
  return [
    condition('control-certificate-expiring', {
      labels: {},
      summary: `the control plane's own certificate ends at ${when} and was not renewed`,
      evidence: { text: `certificate until ${when}`, link: '/identities' },
      command: 'palisade ca status',
    }),
  ];
}

function condition(
  name: AlertName,
  about: {
    readonly labels: Readonly<Record<string, string>>;
    readonly summary: string;
    readonly evidence: Condition['evidence'][number];
    readonly command: string;
    readonly severity?: Severity;
  },
): Condition {
  const { severity = ALERTS[name].severity, evidence, ...rest } = about;
  return { name, severity, evidence: [evidence], ...rest };
}
