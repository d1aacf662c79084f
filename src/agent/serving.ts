import { createCell } from '#lib';
import type { RegistrationResource } from '#resource';
import { createBundles } from './bundles.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import { createFederation } from './federation.ts';
import { fetchBundle } from './fetch-bundle.ts';
import type { BundleStanding } from './foreign-standing.ts';
import type { HostPolicy } from './host-policy.ts';
import { createJwtKeySource } from './jwt-keys.ts';
import { createJwtSource } from './jwt-source.ts';
import { createRedactionKeySource, type RedactionKeySource } from './redaction-keys.ts';
import { createSvidSource } from './svid-source.ts';
import type { Swap } from './swap.ts';
import type { WorkloadApiOptions } from './workload-caller.ts';

/** What the Workload API and SDS hand out, kept fresh. */
export type Serving = {
  readonly parts: Pick<
    WorkloadApiOptions,
    'svids' | 'tokens' | 'jwtKeys' | 'bundles' | 'revocations'
  >;
  /** What hashes in records are keyed with, for the sidecars of this host. */
  readonly redactionKeys: RedactionKeySource;
  /** How the foreign bundles stand. */
  readonly foreign: () => readonly BundleStanding[];
  readonly close: () => void;
};

/** Puts together what an agent serves to its workloads. */
export function createServing(
  options: Omit<Parameters<typeof createSvidSource>[0], 'registrations'> &
    Omit<Parameters<typeof createJwtKeySource>[0], 'trustRoot'> & {
      readonly swap: Swap<HostPolicy>;
      readonly authority: CertificateAuthority;
    },
): Serving {
  const { swap } = options;
  const svids = createSvidSource({ ...options, registrations: registrationsOf(swap) });
  const jwtKeys = createJwtKeySource({
    ...options,
    trustRoot: () => swap.current().trustRoot,
  });
  const tokens = createJwtSource({ ...options, keys: jwtKeys });
  const federation = createFederation({
    ...options,
    wanted: federationsOf(swap),
    own: () => swap.trust().bundle,
    fetch: fetchBundle,
  });
  const bundles = createBundles({ trust: swap.trusts, jwtKeys, foreign: federation });
  const redactionKeys = createRedactionKeySource(options);
  const { revocations } = options;
  return {
    parts: { svids, tokens, jwtKeys, bundles, revocations },
    redactionKeys,
    foreign: federation.standings,
    close() {
      for (const each of [svids, jwtKeys, federation, bundles, redactionKeys]) each.close();
    },
  };
}

function registrationsOf(swap: Swap<HostPolicy>) {
  const cell = createCell<readonly RegistrationResource[] | undefined>(
    swap.snapshots.current()?.registrations,
  );
  swap.snapshots.onChange((policy) => cell.set(policy?.registrations));
  return cell;
}

function federationsOf(swap: Swap<HostPolicy>) {
  const cell = createCell(swap.snapshots.current()?.federations);
  swap.snapshots.onChange((policy) => cell.set(policy?.federations));
  return cell;
}
