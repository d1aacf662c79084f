import { createMessage, type GrpcClient, Issuance, WitnessAuditLogRequestSchema } from '#wire';
import type { AskWitness } from './audit-checkpoints.ts';

/** Shows the authority the end of the audit log over a client of `client`, which is closed after use. */
export function askAuthority(client: () => GrpcClient): AskWitness {
  return async ({ size, root, last, from, proof }) => {
    const channel = client();
    try {
      const request = createMessage(WitnessAuditLogRequestSchema, {
        size: BigInt(size),
        root,
        last,
        fromSize: BigInt(from),
        proof: [...proof],
      });
      const { answer } = await channel.unary(Issuance.method.witnessAuditLog, request);
      switch (answer.case) {
        case 'envelope':
          return { kind: 'signed', envelope: answer.value };
        case 'knownSize':
          return { kind: 'unproven', size: Number(answer.value) };
        case 'refused':
          return { kind: 'refused', message: answer.value };
        case undefined:
          throw new Error('the authority answered nothing');
      }
    } finally {
      channel.close();
    }
  };
}
