import { createFlooredClock, fail, ok, type Result } from '#lib';
import { EVENT, type MetricFamily, type Readiness } from '#telemetry';
import { createAgentCore } from './agent-core.ts';
import { healthOf, metricsOf } from './agent-health.ts';
import type { AgentOptions } from './agent-options.ts';
import { createAgentServer } from './agent-server.ts';
import { prepareSocket } from './agent-socket.ts';
import { createKernelCredentials } from './credentials.ts';

/** A running agent. */
export type Agent = {
  readonly spiffeId: string;
  readonly health: () => Readiness;
  readonly metrics: () => readonly MetricFamily[];
  readonly close: () => Promise<void>;
};

/** Starts an agent; fails in words where it can never work (no native call, no trust root, socket taken). */
export async function createAgent(asked: AgentOptions): Promise<Result<Agent, string>> {
  const floored = createFlooredClock({ wall: asked.clock, elapsed: () => performance.now() });
  const options = { ...asked, clock: floored.now };
  const kernel = options.credentials === undefined ? await createKernelCredentials() : undefined;
  if (kernel?.ok === false) return kernel;
  const credentials = options.credentials ?? (kernel?.ok === true ? kernel.value : undefined);
  if (credentials === undefined) return fail('no source of peer credentials');
  const socket = await prepareSocket(options.socketPath, options.allowOtherUsers ? 0o666 : 0o600);
  if (!socket.ok) return socket;
  const core = await createAgentCore(options);
  if (!core.ok) return core;
  const { identity } = core.value;
  // SECURITY: the authority dates certificates; a host whose clock is set back does not believe what has expired.
  const vouch = () => floored.vouch(identity.current()?.notBefore ?? Number.NaN);
  vouch();
  identity.onChange(vouch);
  const server = createAgentServer(options, core.value, credentials);
  await server.listen(socket.value.path);
  socket.value.publish();
  options.log.info(EVENT.listening, { socket: options.socketPath });
  return ok({
    spiffeId: core.value.spiffeId,
    health: () => healthOf(core.value, options.clock()),
    metrics: () => metricsOf(core.value, options.clock()),
    async close() {
      socket.value.remove();
      await server.close();
      await core.value.close();
    },
  });
}
