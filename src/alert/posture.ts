import { plural } from './condition.ts';

/** What a posture is judged by, as of one moment. */
export type PostureFacts = {
  /** Pairs of workloads that called each other lately, and those of them in mutual TLS. */
  readonly edges: number;
  readonly encryptedEdges: number;
  readonly ports: number;
  readonly strictPorts: number;
  readonly services: number;
  /** Services that nothing reaches but by a rule. */
  readonly governedServices: number;
  /** Logs, and those that were not found to be broken. */
  readonly logs: number;
  readonly verifiedLogs: number;
  /** The share of records that arrived or were left out on purpose. */
  readonly completeness: number;
  readonly points: number;
  readonly stalePoints: number;
  readonly identities: number;
  readonly expiringIdentities: number;
  readonly allowRules: number;
  /** `namespace/policy` of ALLOW rules for whoever calls. */
  readonly wideRules: readonly string[];
};

/** One part of the score, with what costs points and how to get them. */
export type PosturePart = {
  readonly name: string;
  readonly score: number;
  readonly of: number;
  readonly why: string;
  /** Empty where there is nothing to do. */
  readonly fix: string;
  readonly command: string;
};

/** How well the mesh is defended, out of 100, and why. */
export type Posture = {
  readonly score: number;
  readonly of: 100;
  readonly parts: readonly PosturePart[];
  readonly mtlsCoverage: number;
  readonly policyCoverage: number;
  readonly auditCoverage: number;
};

type Judged = Omit<PosturePart, 'score' | 'fix'> & { readonly share: number; readonly fix: string };

/** Judges the facts. Where there is nothing to judge, nothing is lost. */
export function judgePosture(facts: PostureFacts): Posture {
  const judged = [mtls, policy, audit, points, identities, rules].map((judge) => judge(facts));
  const parts = judged.map(({ share, fix, ...part }): PosturePart => {
    // Rounded down: what is not all right never shows as all right.
    const score = share >= 1 ? part.of : Math.floor(share * part.of * 10) / 10;
    return { ...part, score, fix: share >= 1 ? '' : fix };
  });
  return {
    score: Number(parts.reduce((sum, { score }) => sum + score, 0).toFixed(1)),
    of: 100,
    parts,
    mtlsCoverage: ratio(facts.encryptedEdges, facts.edges),
    policyCoverage: ratio(facts.governedServices, facts.services),
    auditCoverage: auditShare(facts),
  };
}

function mtls({ edges, encryptedEdges, ports, strictPorts }: PostureFacts): Judged {
  const plain = edges - encryptedEdges;
  const open = ports - strictPorts;
  return {
    name: 'mutual TLS',
    of: 25,
    share: (ratio(encryptedEdges, edges) + ratio(strictPorts, ports)) / 2,
    why: `${encryptedEdges} of ${plural(edges, 'edge')} with traffic are encrypted; ${strictPorts} of ${plural(ports, 'port')} ask for it`,
    fix:
      plain > 0
        ? `give the callers of ${plural(plain, 'plaintext edge')} a sidecar`
        : `set ${plural(open, 'port')} to STRICT: nobody sends plaintext there`,
    command: 'palisade status --plaintext',
  };
}

function policy({ services, governedServices }: PostureFacts): Judged {
  return {
    name: 'policy',
    of: 20,
    share: ratio(governedServices, services),
    why: `${governedServices} of ${plural(services, 'service')} let nobody in but by a rule`,
    fix: 'let the mesh deny by default, or write a policy for each service',
    command: 'palisade get AuthorizationPolicy -A',
  };
}

function audit(facts: PostureFacts): Judged {
  const { logs, verifiedLogs, completeness } = facts;
  return {
    name: 'audit',
    of: 15,
    share: auditShare(facts),
    why: `${verifiedLogs} of ${plural(logs, 'log')} hold; ${(completeness * 100).toFixed(1)} % of records are there or left out on purpose`,
    fix: verifiedLogs < logs ? 'find out what changed the log' : 'find out where records are lost',
    command: 'palisade audit verify',
  };
}

function points({ points: all, stalePoints }: PostureFacts): Judged {
  return {
    name: 'enforcement',
    of: 15,
    share: ratio(all - stalePoints, all),
    why: `${all - stalePoints} of ${plural(all, 'enforcement point')} enforce the newest policy`,
    fix: `bring ${plural(stalePoints, 'stale enforcement point')} up to date`,
    command: 'palisade status',
  };
}

function identities({ identities: all, expiringIdentities }: PostureFacts): Judged {
  return {
    name: 'identities',
    of: 15,
    share: ratio(all - expiringIdentities, all),
    why: `${expiringIdentities} of ${plural(all, 'certificate')} run out soon`,
    fix: 'find out why the certificate authority does not renew them',
    command: 'palisade ca status',
  };
}

function rules({ allowRules, wideRules }: PostureFacts): Judged {
  return {
    name: 'narrow rules',
    of: 10,
    share: ratio(allowRules - wideRules.length, allowRules),
    why:
      wideRules.length === 0
        ? 'no rule allows just anybody'
        : `${wideRules.length} of ${plural(allowRules, 'rule')} allow just anybody: ${[...new Set(wideRules)].slice(0, 5).join(', ')}`,
    fix: 'name the callers: `palisade suggest` knows who they are',
    command: 'palisade get AuthorizationPolicy -A',
  };
}

function auditShare({ logs, verifiedLogs, completeness }: PostureFacts): number {
  return ratio(verifiedLogs, logs) * Math.min(1, Math.max(0, completeness));
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 1 : Math.max(0, part) / whole;
}
