import {
  ApiError,
  fetchNextRoot,
  phaseOf,
  refreshTrustRoot,
  rootDigest,
  rootsIn,
  rootsOf,
  type Session,
  succeedRoots,
} from '#client';
import type { NextRoot, TrustRoot } from '#trust';
import { type EnforcementPoint, fetchAll } from '../../api-types.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { authorOf } from '../../globals.ts';

/** How to rotate. */
export type RotateOptions = {
  /** How long each step waits for those concerned. */
  readonly timeoutMs: number;
  /** How long calls on connections of the old root may take before it is retired. */
  readonly settleMs: number;
  /** Goes on without those that do not follow in time, or are away: they have to be enrolled anew. */
  readonly leaveBehind: boolean;
  /** Hears of each step as it is taken. */
  readonly onStep: (step: Step) => void;
  /**
   * Hears, once what was before is not issued under any more, since when (ISO 8601), and the serial numbers of the
   * intermediates that were replaced below a root that stays.
   */
  readonly onRetired?: (since: string, replaced: readonly string[]) => Promise<void>;
};

/**
 * A step of a rotation that was taken, and how many live enforcement points have followed. `replace` is all of them where the
 * root is an upstream's and stays: the intermediate below it is another one.
 */
export type Step = {
  readonly step: 'prepare' | 'distribute' | 'activate' | 'retire' | 'abort' | 'replace';
  readonly trustRootVersion: number;
  readonly followed: number;
  readonly of: number;
};

/** An enforcement point that a rotation would break, or that holds it up, and why. */
export type Laggard = { readonly node: string; readonly reason: string };

const POLL_MS = 100;

/**
 * Goes on with the rotation from wherever the trust root says it is, to its end. Each step is one signed successor of
 * the trust root, so a rotation may be interrupted anywhere and continued by the same command; where somebody else takes a
 * step at the same time, both go on from there, and nobody begins a second rotation.
 */
export async function rotate(session: Session, options: RotateOptions): Promise<TrustRoot> {
  let trustRoot = await newest(session);
  const [before = ''] = trustRoot.x509Roots;
  const isBegun = phaseOf(trustRoot) !== 'idle';
  if (!isBegun) {
    const next = await fetchNextRoot(session.api, trustRoot);
    if (!next.ok) throw new ExitError(EXIT.no, next.error, 'nothing was changed');
    if (next.value.certificate === before) return replaced(trustRoot, next.value, options);
    options.onStep({ step: 'prepare', trustRootVersion: trustRoot.version, followed: 0, of: 0 });
    const roots = rootsIn('distributing', { old: before, next: next.value.certificate });
    trustRoot = await change(session, trustRoot, roots);
  }
  const old = isBegun ? oldOf(trustRoot) : before;
  let activatedAt: string | undefined;
  for (let phase = phaseOf(trustRoot); phase !== 'idle'; phase = phaseOf(trustRoot)) {
    if (phase === 'activating') activatedAt = trustRoot.issuedAt;
    trustRoot = await advance(session, trustRoot, options);
  }
  if (trustRoot.x509Roots[0] === old) {
    throw new ExitError(EXIT.no, 'somebody else took the rotation back meanwhile');
  }
  await follow(session, trustRoot, { ...options, step: 'retire', lag: lagOfRoot(trustRoot) });
  await options.onRetired?.(secondOf(activatedAt ?? trustRoot.issuedAt), []);
  return trustRoot;
}

/** Takes the next step of a rotation that is under way, once all have followed the one before. */
async function advance(
  session: Session,
  trustRoot: TrustRoot,
  options: RotateOptions,
): Promise<TrustRoot> {
  const [first = '', second = ''] = rootsOf(trustRoot);
  if (phaseOf(trustRoot) === 'distributing') {
    await follow(session, trustRoot, { ...options, step: 'distribute', lag: lagOfRoot(trustRoot) });
    return change(session, trustRoot, rootsIn('activating', { old: first, next: second }));
  }
  await follow(session, trustRoot, { ...options, step: 'activate', lag: lagOfIssuer(trustRoot) });
  // Connections that were made with certificates of the old root end with the calls that are on them.
  await new Promise((resolve) => setTimeout(resolve, options.settleMs));
  return change(session, trustRoot, [first]);
}

/** The root that a rotation under way moves away from. */
function oldOf(trustRoot: TrustRoot): string {
  const [first = '', second = ''] = rootsOf(trustRoot);
  return phaseOf(trustRoot) === 'activating' ? second : first;
}

/** The authority's upstream has the root that is trusted already, and has signed another intermediate: nobody has to follow. */
async function replaced(
  trustRoot: TrustRoot,
  { time, replaces = [] }: NextRoot,
  options: RotateOptions,
): Promise<TrustRoot> {
  options.onStep({ step: 'replace', trustRootVersion: trustRoot.version, followed: 0, of: 0 });
  await options.onRetired?.(secondOf(time), replaces);
  return trustRoot;
}

/** Certificates know seconds only: what was issued under the new issuer in this very one is not of before. */
function secondOf(instant: string): string {
  return new Date(Math.floor(Date.parse(instant) / 1000) * 1000).toISOString();
}

/** Takes a rotation back to the old root, which is possible until it is retired. */
export async function abort(session: Session, options: RotateOptions): Promise<TrustRoot> {
  let trustRoot = await newest(session);
  const phase = phaseOf(trustRoot);
  if (phase === 'idle') throw new ExitError(EXIT.no, 'no rotation is under way');
  if (phase === 'activating') {
    const [next = '', old = ''] = rootsOf(trustRoot);
    trustRoot = await change(session, trustRoot, rootsIn('distributing', { old, next }));
    refuseUnlessUnder(old, trustRoot);
    await follow(session, trustRoot, { ...options, step: 'abort', lag: lagOfIssuer(trustRoot) });
  }
  const [old = ''] = trustRoot.x509Roots;
  trustRoot = await change(session, trustRoot, [old]);
  refuseUnlessUnder(old, trustRoot);
  await follow(session, trustRoot, { ...options, step: 'abort', lag: lagOfRoot(trustRoot) });
  return trustRoot;
}

function refuseUnlessUnder(old: string, { x509Roots }: TrustRoot): void {
  if (x509Roots[0] === old) return;
  const hint = 'see `palisade ca status`; the other one has to stop first';
  throw new ExitError(EXIT.no, 'somebody else goes on with the rotation meanwhile', hint);
}

/** Who would break if the authority were rotated now. */
export async function rehearse(session: Session): Promise<readonly Laggard[]> {
  const trustRoot = await newest(session);
  return (await pointsOf(session)).flatMap((point) => {
    const { node, connected, lastSeen, ready, readyReason } = point;
    if (!connected) return [{ node, reason: `not connected since ${lastSeen}` }];
    if (point.trustRootVersion === null) {
      return [{ node, reason: 'does not say which trust root it has: an older version' }];
    }
    const late = lagOfRoot(trustRoot)(point);
    if (late !== undefined) return [{ node, reason: late }];
    return ready ? [] : [{ node, reason: `not ready: ${readyReason}` }];
  });
}

async function newest({ api, folder, trustRoot }: Session): Promise<TrustRoot> {
  const shown = await refreshTrustRoot(api, folder, trustRoot);
  if (shown.ok) return shown.value;
  throw new ExitError(
    EXIT.no,
    `the control plane shows a trust root that does not succeed ours: ${shown.error}`,
    'restore the control plane from a backup',
  );
}

/** Signs and hands in the next trust root; where somebody else's came first, that one. */
async function change(
  session: Session,
  trustRoot: TrustRoot,
  x509Roots: readonly string[],
): Promise<TrustRoot> {
  const { api, folder } = session;
  const author = authorOf(session);
  try {
    const nowMs = Date.now();
    return await succeedRoots({ api, folder, trustRoot, author, x509Roots, nowMs });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status < 400 || error.status >= 500) throw error;
    const now = await newest({ ...session, trustRoot });
    if (now.version <= trustRoot.version) throw error;
    return now;
  }
}

type Lag = (point: EnforcementPoint) => string | undefined;

function lagOfRoot({ version }: TrustRoot): Lag {
  return ({ trustRootVersion }) =>
    (trustRootVersion ?? 0) >= version
      ? undefined
      : `has trust root ${trustRootVersion ?? 'unknown'} instead of ${version}`;
}

function lagOfIssuer(trustRoot: TrustRoot): Lag {
  const wanted = rootDigest(trustRoot.x509Roots[0] ?? '');
  const ofRoot = lagOfRoot(trustRoot);
  return (point) =>
    ofRoot(point) ??
    (point.certificateRoot === wanted ? undefined : 'its certificate is of the other root');
}

/** Waits until every live enforcement point has followed; ends the command, naming those that have not. */
async function follow(
  session: Session,
  { version }: TrustRoot,
  options: RotateOptions & { readonly step: Step['step']; readonly lag: Lag },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  const { step, lag } = options;
  for (;;) {
    const points = await pointsOf(session);
    const late = points.flatMap((point) => {
      const reason = lag(point);
      const { node, connected, lastSeen } = point;
      if (reason === undefined) return [];
      return [{ node, reason: connected ? reason : `not connected since ${lastSeen}` }];
    });
    const followed = points.length - late.length;
    const isOver = Date.now() >= deadline;
    if (late.length === 0 || (isOver && options.leaveBehind)) {
      return options.onStep({ step, trustRootVersion: version, followed, of: points.length });
    }
    if (isOver) throw stuck(step, late);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function stuck(step: Step['step'], late: readonly Laggard[]): ExitError {
  const named = late.map(({ node, reason }) => `${node} (${reason})`).join(', ');
  return new ExitError(
    EXIT.no,
    `the rotation waits at \`${step}\`; nobody is broken. Not followed have: ${named}`,
    'run `palisade ca rotate` again to go on, with --leave-behind to do without them, or with --abort',
  );
}

function pointsOf({ api }: Session): Promise<readonly EnforcementPoint[]> {
  return fetchAll<EnforcementPoint>(api, '/enforcement-points');
}
