import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  type AttestAgentRequest,
  AttestAgentRequestSchema,
  type AttestAgentResponse,
  AttestBeginSchema,
  createMessage,
  type GrpcClient,
  Issuance,
  type X509SvidResponse,
} from '#wire';
import type { Evidence, EvidenceSource } from './evidence-source.ts';

/** A CSR and the SubjectPublicKeyInfo of its key, which proofs bind to. */
export type CertificateRequest = { readonly csr: Uint8Array; readonly publicKeyDer: Uint8Array };

/** Shows evidence and answers the authority's question, if it has one (issuance.proto, AttestAgent). */
export async function converse(
  client: GrpcClient,
  source: EvidenceSource,
  { csr, publicKeyDer }: CertificateRequest,
): Promise<X509SvidResponse> {
  const { attestor } = source;
  const evidence = encode(await source.evidence());
  const stream = client.bidi(Issuance.method.attestAgent) as ClientDuplexStream<
    AttestAgentRequest,
    AttestAgentResponse
  >;
  const send = (step: AttestAgentRequest['step']): void => {
    stream.write(createMessage(AttestAgentRequestSchema, { step }));
  };
  const begin = createMessage(AttestBeginSchema, { attestor, evidence, csr: new Uint8Array(csr) });
  send({ case: 'begin', value: begin });
  try {
    for await (const { step } of stream as AsyncIterable<AttestAgentResponse>) {
      if (step.case === 'svid') return step.value;
      if (step.case !== 'challenge' || source.answer === undefined) break;
      const challenge = JSON.parse(Buffer.from(step.value).toString('utf8')) as Evidence;
      send({ case: 'answer', value: encode(await source.answer(challenge, publicKeyDer)) });
    }
    throw new Error('the authority asked something that this agent cannot answer');
  } finally {
    stream.on('error', () => {
      // Cancelled here; what went wrong before has been thrown already.
    });
    stream.cancel();
  }
}

function encode(evidence: Evidence): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(JSON.stringify(evidence)));
}
