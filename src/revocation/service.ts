import { status } from '@grpc/grpc-js';
import type { Log } from '#telemetry';
import { decodeEnvelope } from '#trust';
import {
  createMessage,
  type GrpcCall,
  type GrpcService,
  type Reply,
  Revocations,
  type SubmitRequest,
  type SubmitResponse,
  SubmitResponseSchema,
  type SyncMessage,
} from '#wire';
import { createFanOut } from './fan-out.ts';
import type { RevocationStore } from './store.ts';
import { encodeStates, syncOver } from './sync.ts';

/** What the service works with. */
export type RevocationServiceOptions = {
  readonly store: RevocationStore;
  /** Why a caller may not have revocations, in words; undefined if it may. */
  readonly refuse: (call: {
    readonly getPeer: () => string;
  }) => string | undefined | Promise<string | undefined>;
  /** The same for those who hand entries in; as `refuse` where it is not given. */
  readonly refuseSubmission?: RevocationServiceOptions['refuse'];
  readonly log: Log;
};

const MAX_SUBMITTED = 256;

/** The Revocations service of revocation.proto. */
export function createRevocationService(options: RevocationServiceOptions): GrpcService {
  const { store, log } = options;
  const fanOut = createFanOut();
  async function take({ entries }: SubmitRequest): Promise<{ code?: status; details: string }> {
    if (entries.length > MAX_SUBMITTED) {
      return { code: status.INVALID_ARGUMENT, details: `more than ${MAX_SUBMITTED} entries` };
    }
    const [refused] = store.receive(entries.map(envelopeOf)).refused;
    if (refused !== undefined) return { code: status.INVALID_ARGUMENT, details: refused.message };
    try {
      await store.saved();
      return { details: '' };
    } catch {
      // The store has logged what the disk said.
      return { code: status.UNAVAILABLE, details: 'in force here, but the disk does not take it' };
    }
  }

  const submit = async (
    call: GrpcCall<SubmitRequest, SubmitResponse>,
    done: Reply<SubmitResponse>,
  ): Promise<void> => {
    const refusal = await refusalOf(options.refuseSubmission ?? options.refuse, call);
    if (refusal !== undefined) return done({ code: status.PERMISSION_DENIED, details: refusal });
    const { code, details } = await take(call.request);
    if (code !== undefined) return done({ code, details });
    const holds = encodeStates(store.states());
    return done(null, createMessage(SubmitResponseSchema, { holds }));
  };

  async function sync(call: GrpcCall<SyncMessage, SyncMessage>): Promise<void> {
    const stops: (() => void)[] = [];
    let isOver = false;
    const stop = () => {
      isOver = true;
      for (const each of stops) each();
    };
    for (const event of ['cancelled', 'close', 'end']) call.on(event, stop);
    const refusal = await refusalOf(options.refuse, call);
    if (isOver) return;
    if (refusal !== undefined) {
      call.refuse({ code: status.PERMISSION_DENIED, details: refusal });
      return;
    }
    call.on('end', () => call.end());
    stops.push(syncOver(call, { store, log, fanOut }));
  }

  return { service: Revocations, implementation: { submit, sync } };
}

async function refusalOf(
  refuse: RevocationServiceOptions['refuse'],
  call: { readonly getPeer: () => string },
): Promise<string | undefined> {
  try {
    return await refuse(call);
  } catch (error) {
    // Its connection is gone, so there is nobody to answer.
    return error instanceof Error ? error.message : String(error);
  }
}

function envelopeOf(bytes: Uint8Array): unknown {
  const envelope = decodeEnvelope(bytes);
  // Null verifies as nothing, and the refusal says so.
  return envelope.ok ? envelope.value : null;
}
