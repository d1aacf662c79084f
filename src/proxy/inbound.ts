import type { Socket } from 'node:net';
import { type PathNormalization, trafficOf } from '#lib';
import type { Program, Question } from '#policy';
import type { InboundPort } from '#snapshot';
import type { RecordedCall } from '#telemetry';
import { admit, admitSession } from './admit.ts';
import { type Arrival, arrive, callerOf } from './arrival.ts';
import { forwardedClientCert } from './authenticate.ts';
import {
  authorize,
  type Caller,
  type ConsultFirst,
  type Enforcement,
  type Ruling,
  refuseConsulted,
} from './authorize.ts';
import type { Connector } from './connector.ts';
import { consultProvider } from './consult.ts';
import type { ProxyContext } from './context.ts';
import { describeArrival } from './describe-arrival.ts';
import { isProxied } from './detect.ts';
import { dialTcp } from './dial.ts';
import { continueTrace } from './forward.ts';
import { type HelloOutcome, readClientHello } from './hello.ts';
import type { HttpCall, HttpDirection, JudgedCall, RequestFacts } from './http-call.ts';
import { serveHttp } from './http-version.ts';
import { isGroupAccepted } from './key-exchange.ts';
import type { BytePipe } from './pipe.ts';
import type { ConnectionPool } from './pool.ts';
import { questionOf } from './question.ts';
import { type CallFacts, recordDecision } from './record.ts';
import type { Failure, FailureKind } from './respond.ts';
import { applicationConnector, inboundPortOf } from './route.ts';
import { TcpSession } from './tcp-session.ts';
import { claimsNow, NO_USER, type PassedUser, type TokenOutcome } from './token.ts';

/**
 * The whole way of an incoming connection: listen → detect → authenticate → authorize → admit → route →
 * forward → record. From `authorize` on, HTTP goes through it request by request.
 */
export function acceptInbound(raw: Socket, context: ProxyContext, pool: ConnectionPool): void {
  arrive(raw, context, (arrival) => serveArrival(arrival, context, pool));
}

/** Serves a connection whose caller is known, by the protocol of its port. */
export function serveArrival(arrival: Arrival, context: ProxyContext, pool: ConnectionPool): void {
  const snapshot = context.options.snapshots.current();
  const port = arrival.port ?? (snapshot && inboundPortOf(snapshot, arrival.sni));
  if (snapshot !== undefined && port === undefined) {
    return refuse(context, arrival.pipe, 'unknown_port');
  }
  if (port?.peerMode === 'STRICT' && arrival.caller.kind === 'plaintext') {
    return refuse(context, arrival.pipe, 'plaintext_refused');
  }
  // SECURITY: a header that another port asks for says nothing here, and one that is missing is an attempt.
  // A tunnel's stream brings none: its caller is whom the tunnel belongs to, from whatever address.
  const isTunnelled = arrival.port !== undefined;
  const isDue = !isTunnelled && port !== undefined && isProxied(port, arrival.ip);
  if (isDue !== (arrival.proxied !== undefined)) {
    return refuse(context, arrival.pipe, 'proxy_header_refused');
  }
  if (port?.protocol === 'tls') return servePassedThrough(arrival, port, context, pool);
  const inbound = new InboundCalls(arrival, port, context, pool);
  // Without a snapshot nobody knows the protocol; HTTP is the one in which the reason can be told.
  if (port === undefined || trafficOf(port.protocol) === 'http') inbound.serveHttp();
  else inbound.serveTcp();
}

/** TLS of the applications' own: judged by the name that its first message asks for. */
function servePassedThrough(
  arrival: Arrival,
  port: InboundPort,
  context: ProxyContext,
  pool: ConnectionPool,
): void {
  readClientHello(arrival.pipe, context, (hello) => {
    const named = { ...arrival, sni: hello.sni };
    new InboundCalls(named, port, context, pool).serveTcp(hello);
  });
}

const NOBODY: ReadonlySet<string> = new Set();
// Each time a policy changed meanwhile may bring another provider; that does not go on for ever.
const MAX_ROUNDS = 3;

/** What is judged of a call: no head is a TCP connection; `isUnderWay` is one that was permitted before. */
type Call = {
  readonly head: RequestFacts | undefined;
  readonly user: PassedUser | undefined;
  readonly consented: ReadonlySet<string>;
  readonly isUnderWay?: boolean;
};

/** The calls of one incoming connection. */
class InboundCalls implements HttpDirection {
  readonly side = 'inbound';
  readonly #arrival: Arrival;
  readonly #port: InboundPort | undefined;
  readonly #context: ProxyContext;
  readonly #facts: CallFacts;
  readonly #connector: Connector | undefined;
  readonly #applicationPort: number | undefined;
  readonly #ownPortSuffix: string;
  readonly #clientCert: string | undefined;
  /** Calls that wait for providers. */
  readonly #waiting = new WeakSet<object>();

  constructor(
    arrival: Arrival,
    port: InboundPort | undefined,
    context: ProxyContext,
    pool: ConnectionPool,
  ) {
    this.#arrival = arrival;
    this.#port = port;
    this.#context = context;
    this.#facts = describeArrival(arrival, port, context);
    this.#applicationPort = port?.targetPort ?? context.options.appPort;
    this.#connector =
      this.#applicationPort === undefined
        ? undefined
        : applicationConnector(context, pool, this.#applicationPort, port?.protocol ?? 'http');
    this.#ownPortSuffix = `:${port?.port ?? 0}`;
    const own = context.options.identity.current();
    this.#clientCert =
      arrival.caller.kind === 'verified' && own !== undefined
        ? forwardedClientCert(arrival.caller.svid, own)
        : undefined;
  }

  serveHttp(): void {
    const { pipe, alpn } = this.#arrival;
    const protocol = this.#port?.protocol ?? 'http';
    const facts = this.#facts;
    serveHttp({ pipe, context: this.#context, direction: this, facts, alpn, protocol });
  }

  get isOutdated(): boolean {
    const { shown } = this.#arrival;
    return shown !== undefined && shown !== this.#context.tls();
  }

  pathNormalization(): PathNormalization {
    return this.#context.options.snapshots.current()?.pathNormalization ?? 'STRICT';
  }

  // (user) → authorize → admit → route → forward; the connection records the call when it is over.
  serve(call: HttpCall, head: RequestFacts): void {
    const enforcement = this.#context.enforcement();
    const user = this.#authenticateUser(head, enforcement);
    if (user.kind === 'wait') {
      // SECURITY: the caller may have left meanwhile, and the connection be serving another request.
      void user.ready.then(() => call.head === head && this.serve(call, head));
      return;
    }
    if (user.kind === 'refuse') return this.#refuseUser(call, head, user.failure);
    call.user = user;
    if (call.consented !== undefined) this.#forgetConsent(call);
    const ruling = this.#judge({ head, user, consented: NOBODY }, enforcement);
    if (ruling.kind === 'consult') void this.#serveConsulted(call, head, ruling);
    else this.#serveRuled(call, head, ruling);
  }

  async #serveConsulted(call: HttpCall, head: RequestFacts, first: ConsultFirst): Promise<void> {
    const consented = new Set<string>();
    call.consented = consented;
    call.record.isConsulted = true;
    this.#waiting.add(call);
    const ruling = await this.#consult(first, { head, user: call.user, consented });
    // SECURITY: the caller may have left meanwhile, and the connection be serving another request.
    if (call.consented !== consented || call.head === undefined) return;
    this.#waiting.delete(call);
    this.#serveRuled(call, head, ruling);
  }

  #serveRuled(call: HttpCall, head: RequestFacts, ruling: Ruling): void {
    call.calls.decided();
    this.#note(ruling, call.record);
    const traceparent = continueTrace(this.#context, call, head);
    if (ruling.kind === 'refuse') return call.respond(ruling.failure);
    if (this.#connector === undefined) {
      return call.respond({ kind: 'upstream_connect_failed', detail: 'no_application_port' });
    }
    const refused = admit(this.#connector.group) ?? this.#charge(head, call.user);
    if (refused !== undefined) return call.respond(refused);
    call.forward(ruling.permit, {
      connector: this.#connector,
      traceparent,
      clientCert: this.#clientCert,
      host: undefined,
      headers: call.user?.headers,
    });
  }

  judge(call: JudgedCall): FailureKind | undefined {
    if (call.head !== undefined) {
      const { head, user, consented = NOBODY } = call;
      const ruling = this.#judge({ head, user, consented, isUnderWay: true });
      if (ruling.kind !== 'consult') return failureOf(ruling);
      // A call that waits for providers has sent nothing yet and is judged again once they answered.
      return this.#waiting.has(call) ? undefined : 'policy_denied';
    }
    // Between requests there is nothing for policy to judge, but a peer that counts no more has to go.
    return this.#callerNow(this.#context.enforcement()).kind === 'unverified'
      ? 'peer_unauthenticated'
      : undefined;
  }

  noteCut(call: JudgedCall, record: RecordedCall): string | undefined {
    const { head, user, consented = NOBODY } = call;
    return head === undefined ? undefined : this.#noteCut({ head, user, consented }, record);
  }

  /** `hello` is what was read of it already, or why that will not do. */
  serveTcp(hello?: HelloOutcome): void {
    const context = this.#context;
    const nothing = { head: undefined, user: undefined, consented: new Set<string>() };
    let isWaiting = false;
    const session = new TcpSession(this.#arrival.pipe, context, this.#facts, {
      side: this.side,
      judge: () => {
        const ruling = this.#judge({ ...nothing, isUnderWay: true });
        if (ruling.kind !== 'consult') return failureOf(ruling);
        return isWaiting ? undefined : 'policy_denied';
      },
      noteCut: (record) => this.#noteCut(nothing, record),
      sessionMs: context.timeouts().sessionMs,
    });
    const ruling = this.#judge(nothing);
    if (ruling.kind !== 'consult') return this.#serveSession(session, ruling, hello);
    isWaiting = true;
    session.record.isConsulted = true;
    void this.#consult(ruling, nothing).then((settled) => {
      isWaiting = false;
      if (!session.ended) this.#serveSession(session, settled, hello);
    });
  }

  #serveSession(session: TcpSession, ruling: Ruling, hello: HelloOutcome | undefined): void {
    const context = this.#context;
    session.decided();
    this.#note(ruling, session.record);
    if (ruling.kind === 'refuse') return session.refuse(ruling.failure);
    if (hello?.kind === 'refused') return session.refuse(hello.failure);
    const port = this.#applicationPort;
    if (port === undefined || this.#connector === undefined) {
      return session.refuse({ kind: 'upstream_connect_failed', detail: 'no_application_port' });
    }
    const { group } = this.#connector;
    const refused = admitSession(group);
    if (refused !== undefined) return session.refuse(refused);
    const release = (): void => group.slots.release();
    dialTcp({ host: '127.0.0.1', port }, { timeoutMs: context.timeouts().connectMs }, (dialed) => {
      if (dialed.kind === 'connected') {
        const { pipe } = dialed;
        return session.join(ruling.permit, { pipe, early: hello?.bytes, release });
      }
      release();
      session.refuse(dialed.failure);
    });
  }

  /** Asks the providers of CUSTOM policies one after another, and then judges by what is enforced by then. */
  async #consult(
    first: ConsultFirst,
    call: Call & { readonly consented: Set<string> },
  ): Promise<Ruling> {
    let ruling: Ruling | ConsultFirst = first;
    for (let round = 0; ruling.kind === 'consult'; round++) {
      for (const by of ruling.missing) {
        const { question, decision } = ruling;
        const outcome =
          round < MAX_ROUNDS
            ? await consultProvider(this.#context, by, { question, head: call.head })
            : ({ kind: 'unable', by, detail: 'policy_keeps_changing' } as const);
        if (outcome.kind !== 'consent') return refuseConsulted(decision, outcome, this.#denialId());
        call.consented.add(by.provider);
      }
      ruling = this.#judge(call);
    }
    return ruling;
  }

  #authenticateUser(head: RequestFacts, enforcement: Enforcement): TokenOutcome {
    const tokens = enforcement.snapshot?.tokens ?? [];
    if (tokens.length === 0) return NO_USER;
    const caller = this.#callerNow(enforcement);
    // Nobody: the judge says so, and no token of theirs costs us anything.
    if (caller.kind === 'unverified') return NO_USER;
    const certificate = caller.kind === 'verified' ? caller.svid.leafDer : undefined;
    return this.#context.tokens.check(tokens, { head, certificate, nowMs: enforcement.nowMs });
  }

  #refuseUser(call: HttpCall, head: RequestFacts, failure: Failure): void {
    const named = { ...failure, denialId: this.#denialId() };
    call.calls.decided();
    this.#note({ kind: 'refuse', failure: named, decision: undefined }, call.record);
    continueTrace(this.#context, call, head);
    call.respond(named);
  }

  #judge(
    { head, user, consented, isUnderWay = false }: Call,
    enforcement = this.#context.enforcement(),
  ): Ruling | ConsultFirst {
    const caller = this.#callerNow(enforcement);
    const { secure } = this.#arrival;
    const { snapshot, nowMs } = enforcement;
    const demanded = snapshot?.keyExchange;
    if (secure !== undefined && !isGroupAccepted(secure.facts.group, demanded)) {
      // It was made before the mesh began to require more.
      const failure: Failure = { kind: 'peer_unauthenticated', detail: 'key_exchange' };
      return { kind: 'refuse', failure, decision: undefined };
    }
    const question = this.#questionOf(
      { head, user },
      { caller, snapshot, nowMs },
      snapshot?.program,
    );
    const denialId = this.#denialId;
    return authorize(enforcement, { caller, question, isUnderWay, consented, denialId });
  }

  /** What the call is to `program`. */
  #questionOf(
    { head, user }: Pick<Call, 'head' | 'user'>,
    {
      caller,
      snapshot,
      nowMs,
    }: Pick<Enforcement, 'snapshot' | 'nowMs'> & { readonly caller: Caller },
    program: Program | undefined,
  ): Question {
    const { ip, localIp, sni, proxied } = this.#arrival;
    const facts = {
      caller,
      ip,
      proxiedIp: proxied?.ip,
      sni,
      localIp,
      port: this.#port?.port ?? 0,
      head,
      host: head === undefined ? '' : this.#hostOf(head),
      claims: claimsNow(user, snapshot?.tokens ?? []),
      changes: user?.headers,
      trustedHops: snapshot?.trustedHops ?? 0,
      trustDomain: snapshot?.trustDomain,
      nowMs,
    };
    return questionOf(facts, program?.reads);
  }

  /** What the permitted request costs its caller; a failure where that is more than is left. */
  #charge(head: RequestFacts, user: PassedUser | undefined): Failure | undefined {
    const budget = this.#context.options.snapshots.current()?.callerBudget;
    if (budget === undefined) return undefined;
    const enforcement = this.#context.enforcement();
    const { snapshot, nowMs } = enforcement;
    const about = { caller: this.#callerNow(enforcement), snapshot, nowMs };
    const question = this.#questionOf({ head, user }, about, budget.program);
    return this.#context.accounts.charge(budget, question);
  }

  // What providers said was said of the connection's request before.
  #forgetConsent(call: HttpCall): void {
    call.consented = undefined;
    this.#waiting.delete(call);
  }

  #note(ruling: Ruling, record: RecordedCall): void {
    const permitted = ruling.kind === 'permit';
    const decision = permitted ? ruling.permit.decision : ruling.decision;
    const reason = decision?.reason ?? (permitted ? 'allowed' : ruling.failure.kind);
    this.#context.countRuling(permitted ? 'allow' : 'deny', reason);
    recordDecision(record, decision, this.#context.options.snapshots.current());
  }

  #noteCut(call: Call, record: RecordedCall): string | undefined {
    const ruling = this.#judge({ ...call, isUnderWay: true });
    if (ruling.kind !== 'refuse') return undefined;
    recordDecision(record, ruling.decision, this.#context.options.snapshots.current());
    return ruling.failure.denialId;
  }

  // A root that was withdrawn, or a revocation, takes callers along that were verified before.
  #callerNow({ identity, revocations, nowMs }: Enforcement): Caller {
    const { caller, secure } = this.#arrival;
    if (secure === undefined || identity === undefined) return caller;
    return callerOf(secure.current({ identity, revocations, nowMs }));
  }

  // Policy sees the host without a port that says nothing: that of the Service itself.
  #hostOf(head: RequestFacts): string {
    const { host } = head;
    return host.endsWith(this.#ownPortSuffix) ? host.slice(0, -this.#ownPortSuffix.length) : host;
  }

  readonly #denialId = (): string => this.#context.ids.spanId();
}

function failureOf(ruling: Ruling): FailureKind | undefined {
  return ruling.kind === 'permit' ? undefined : ruling.failure.kind;
}

function refuse(context: ProxyContext, pipe: BytePipe, kind: string): void {
  context.options.metrics.refused(kind).value++;
  pipe.destroy();
}
