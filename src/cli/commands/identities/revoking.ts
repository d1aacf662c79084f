import type { Command } from 'commander';
import {
  ApiError,
  fetchRevocations,
  type HeldRevocations,
  holdRevocations,
  readJournal,
  type Session,
  signNextRevocation,
  submitRevocations,
  submitToAgent,
} from '#client';
import {
  type ActiveRevocation,
  activeRevocations,
  describeTarget,
  type RevocationAct,
  type RevocationTarget,
  type VerifiedRevocation,
} from '#trust';
import { type EnforcementPoint, fetchAll, type Identity } from '../../api-types.ts';
import type { CliContext } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { parseDurationFlag } from '../../flags.ts';
import { authorOf, type Globals, globalsOf, sessionOf } from '../../globals.ts';
import { age, printResult, table } from '../../output.ts';
import { fetchPreview, previewLines } from './revocation-preview.ts';
import { parseForFlag, parseInstantFlag, refuseDeadEnd, targetOf } from './revocation-target.ts';

type RevokeOptions = {
  readonly reason?: string;
  readonly for?: number;
  readonly issuedBefore?: string;
  readonly dryRun?: boolean;
  readonly timeout: number;
};

/** Adds `revoke` and `unrevoke` to `palisade identity`. */
export function registerRevoking(identity: Command, context: CliContext): void {
  registerRevoke(identity, context);
  registerUnrevoke(identity, context);
}

function registerRevoke(identity: Command, context: CliContext): void {
  identity
    .command('revoke')
    .description(
      'take the validity from an identity, a certificate, an agent, or all issued so far',
    )
    .argument('[what]', 'SPIFFE ID, account name, serial number, or agent/HOST')
    .option('--issued-before <time>', 'only what was issued before: RFC 3339, or `now`')
    .option('--reason <text>', 'why, for those who read the log')
    .option('--for <duration>', 'ends by itself after this time', parseForFlag)
    .option('--dry-run', 'say what would be cut, and revoke nothing')
    .option(
      '--timeout <duration>',
      'how long to wait for all to enforce it',
      parseDurationFlag,
      5000,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ palisade identity revoke web --dry-run\n  $ palisade identity revoke web --issued-before now --reason "key on a stolen laptop"\n  $ palisade identity revoke 4f0c1a… --for 24h\n  $ palisade identity revoke agent/node-7\n',
    )
    .action(async (what: string | undefined, options: RevokeOptions, command: Command) => {
      const globals = globalsOf(command, context);
      const session = sessionOf(globals);
      const nowMs = Date.now();
      const issuedBefore = parseInstantFlag(options.issuedBefore, nowMs);
      const { trustDomain } = session.trustRoot;
      const { namespace } = globals;
      const target = targetOf(what, { issuedBefore, trustDomain, namespace });
      refuseDeadEnd(target);
      const until = options.for === undefined ? null : new Date(nowMs + options.for).toISOString();
      if (options.dryRun === true) return printPreview(context, globals, { session, target });
      const act: RevocationAct = { kind: 'revoke', reason: options.reason ?? '', until };
      const held = await fetchHeld(session);
      const isAll = target.kind === 'all';
      const back = isAll ? await connectedNodes(session) : [];
      const taker = await signAndHandIn(session, held, [{ target, act }]);
      const progress = await waitForAll(session, taker, { timeoutMs: options.timeout, back });
      await warnOfUnheard(context, session, target);
      printResult(context, globals.output, { revoked: target, until, ...progress }, () =>
        [`revoked ${describeTarget(target)}`, sentenceOf(progress)].join('\n'),
      );
    });
}

async function printPreview(
  context: CliContext,
  globals: Globals,
  { session, target }: { readonly session: Session; readonly target: RevocationTarget },
): Promise<void> {
  const preview = await fetchPreview(session, target);
  printResult(context, globals.output, { target, ...preview }, () =>
    previewLines(preview).join('\n'),
  );
}

function registerUnrevoke(identity: Command, context: CliContext): void {
  identity
    .command('unrevoke')
    .description('lift what was revoked')
    .argument('<what>', 'as it was revoked: SPIFFE ID, account name, serial, agent/HOST, or `all`')
    .option('--reason <text>', 'why, for those who read the log')
    .option(
      '--timeout <duration>',
      'how long to wait for all to enforce it',
      parseDurationFlag,
      5000,
    )
    .addHelpText('after', '\nExample:\n  $ palisade identity unrevoke web\n')
    .action(async (what: string, options: RevokeOptions, command: Command) => {
      const globals = globalsOf(command, context);
      const session = sessionOf(globals);
      const held = await fetchHeld(session);
      const { trustDomain } = session.trustRoot;
      const wanted = targetOf(what === 'all' ? undefined : what, {
        issuedBefore: what === 'all' ? '' : null,
        trustDomain,
        namespace: globals.namespace,
      });
      const matching = activeRevocations(held.set.all()).filter((active) =>
        isSame(active.target, wanted),
      );
      if (matching.length === 0) {
        const hint = 'see `palisade identity list --revoked`';
        throw new ExitError(EXIT.no, `\`${what}\` is not revoked`, hint);
      }
      const lifts = matching.map(({ entry, target }) => ({
        target,
        act: { kind: 'lift', reason: options.reason ?? '', revocation: entry.hash } as const,
      }));
      const taker = await signAndHandIn(session, held, lifts);
      const progress = await waitForAll(session, taker, { timeoutMs: options.timeout });
      const lifted = matching.map(({ target }) => target);
      printResult(context, globals.output, { lifted, ...progress }, () =>
        [...lifted.map((each) => `lifted ${describeTarget(each)}`), sentenceOf(progress)].join(
          '\n',
        ),
      );
    });
}

/** Revokes all that was issued before an instant, and certificates by serial number; waits for those that are connected. */
export async function revokeAllBefore(
  session: Session,
  options: {
    readonly instant: string;
    readonly serials: readonly string[];
    readonly reason: string;
    readonly timeoutMs: number;
  },
): Promise<string> {
  const act: RevocationAct = { kind: 'revoke', reason: options.reason, until: null };
  const targets: readonly RevocationTarget[] = [
    ...options.serials.map((serial) => ({ kind: 'serial', serial }) as const),
    { kind: 'all', issuedBefore: options.instant },
  ];
  const acts = targets.map((target) => ({ target, act }));
  const back = await connectedNodes(session);
  const taker = await signAndHandIn(session, await fetchHeld(session), acts);
  return sentenceOf(await waitForAll(session, taker, { timeoutMs: options.timeoutMs, back }));
}

/** `palisade identity list --revoked` */
export async function listRevoked(context: CliContext, globals: Globals): Promise<void> {
  const session = sessionOf(globals);
  const { set, problems, untold } = await fetchHeld(session);
  await handInUntold(context, session, untold);
  const nowMs = Date.now();
  const active = activeRevocations(set.all()).filter(({ until }) => nowMs < until);
  const shown = active.map((each) => shownOf(each));
  for (const { kind, issuer, number } of problems) {
    context.stderr.write(
      `warning: the chain of key ${issuer.slice(0, 12)} has a ${kind} at entry ${number}\n`,
    );
  }
  printResult(context, globals.output, shown, () =>
    shown.length === 0
      ? 'nothing is revoked'
      : table([
          ['REVOKED', 'SINCE', 'ENDS', 'BY', 'REASON'],
          ...shown.map(({ what, time, until, author, reason }) => [
            what,
            age(time, nowMs),
            until ?? 'never',
            author,
            reason,
          ]),
        ]),
  );
}

/** Hands in what was signed while nobody answered: what is listed as revoked is to be so. */
async function handInUntold(
  context: CliContext,
  { api }: Session,
  untold: readonly VerifiedRevocation[],
): Promise<void> {
  if (untold.length === 0) return;
  const count = `${untold.length} that ${untold.length === 1 ? 'was' : 'were'} signed while nobody answered`;
  try {
    await submitRevocations(api, untold);
    context.stderr.write(`handed in ${count}\n`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    context.stderr.write(`warning: ${count} may be enforced nowhere yet: ${error.message}\n`);
  }
}

function shownOf({ entry, target }: ActiveRevocation) {
  const { act, author, time } = entry.revocation;
  const until = act.kind === 'revoke' ? act.until : null;
  const { hash } = entry;
  return { what: describeTarget(target), target, time, until, author, reason: act.reason, hash };
}

async function fetchHeld({ api, folder, trustRoot }: Session): Promise<HeldRevocations> {
  const own = folder.author.revocations;
  try {
    return await fetchRevocations(api, trustRoot, own);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const told = readJournal(folder.agent.revocations);
    return holdRevocations({ told, own: readJournal(own) }, trustRoot);
  }
}

/** Whether the control plane took the entries; if it is away, the agent of this host did. */
async function signAndHandIn(
  session: Session,
  held: HeldRevocations,
  acts: readonly { readonly target: RevocationTarget; readonly act: RevocationAct }[],
): Promise<'control' | 'agent'> {
  const { trustRoot, folder, api, settings } = session;
  const author = authorOf(session);
  const journalPath = folder.author.revocations;
  const entries: VerifiedRevocation[] = [];
  for (const { target, act } of acts) {
    const nowMs = Date.now();
    const next = { held, trustRoot, author, target, act, nowMs, journalPath };
    const entry = signNextRevocation(next);
    held.set.add(entry.envelope, trustRoot);
    entries.push(entry);
  }
  // What was signed while nobody answered goes along: it stands before these in the chain, and nobody enforces it yet.
  const handed = [...held.untold, ...entries];
  try {
    await submitRevocations(api, handed);
    return 'control';
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    await submitToAgent(settings.agentSocket, handed).catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ExitError(
        EXIT.unreachable,
        `neither the control plane nor the agent at \`${settings.agentSocket}\` takes it: ${reason}`,
        'it is signed and kept, and enforced nowhere: `palisade identity list --revoked` hands it in when one of them answers',
      );
    });
    return 'agent';
  }
}

/** How many of the connected enforcement points enforce what the control plane knows. */
type Progress = {
  readonly taker: 'control' | 'agent';
  readonly enforced: number;
  readonly points: number;
  readonly missing: readonly string[];
};

const POLL_MS = 20;

/** The enforcement points that are connected now; none where the control plane is away. */
async function connectedNodes({ api }: Session): Promise<readonly string[]> {
  try {
    const points = await fetchAll<EnforcementPoint>(api, '/enforcement-points');
    return points.filter(({ connected }) => connected).map(({ node }) => node);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    return [];
  }
}

/**
 * Waits until all that are connected enforce it. `back`: those that have to be connected again, where it cut everybody, so
 * that nobody connected is not taken for everybody.
 */
async function waitForAll(
  { api }: Session,
  taker: 'control' | 'agent',
  { timeoutMs, back = [] }: { readonly timeoutMs: number; readonly back?: readonly string[] },
): Promise<Progress> {
  // Nobody has an overview then.
  if (taker === 'agent') return { taker, enforced: 0, points: 0, missing: [] };
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const all = await fetchAll<EnforcementPoint>(api, '/enforcement-points');
    const points = all.filter(({ connected, node }) => connected || back.includes(node));
    const missing = points
      .filter(({ connected, revocationsCurrent }) => !connected || !revocationsCurrent)
      .map(({ node }) => node);
    if (missing.length === 0 || Date.now() >= deadline) {
      return { taker, enforced: points.length - missing.length, points: points.length, missing };
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Says where nobody is hit today: a revocation of a mistyped name is enforced everywhere and stops nobody. */
async function warnOfUnheard(
  context: CliContext,
  { api }: Session,
  target: RevocationTarget,
): Promise<void> {
  if (target.kind !== 'identity' && target.kind !== 'agent') return;
  try {
    const identities = await fetchAll<Identity>(api, '/identities?current=true');
    if (identities.some(({ spiffeId }) => spiffeId === target.id)) return;
  } catch {
    // It is revoked; who does not answer now cannot say whom it hits.
    return;
  }
  context.stderr.write(
    `warning: no certificate of \`${target.id}\` is valid now; a name that was meant may be in \`palisade identity list\`\n`,
  );
}

function sentenceOf({ taker, enforced, points, missing }: Progress): string {
  if (taker === 'agent') {
    return 'the control plane is away: the agent of this host enforces it and tells all it reaches';
  }
  const all = `enforced at ${enforced} of ${points} connected enforcement points`;
  return missing.length === 0 ? all : `${all}; not yet at ${missing.join(', ')}`;
}

function isSame(a: RevocationTarget, b: RevocationTarget): boolean {
  if (a.kind === 'serial') return b.kind === 'serial' && a.serial === b.serial;
  if (a.kind === 'all') return b.kind === 'all';
  return a.kind === b.kind && a.id === b.id;
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0;
}
