import {
  type EnrolRequest,
  type FetchCrlRequest,
  type FetchCrlResponse,
  type FetchJwtKeysRequest,
  type FetchJwtKeysResponse,
  type FetchRedactionKeysRequest,
  type FetchRedactionKeysResponse,
  type GrpcService,
  Issuance,
  type IssueJwtSvidRequest,
  type IssueX509SvidRequest,
  type JwtSvidResponse,
  type ListExpiriesRequest,
  type ListExpiriesResponse,
  type NoteJoinTokenRequest,
  type NoteJoinTokenResponse,
  type PrepareRootRequest,
  type PrepareRootResponse,
  type ReadLogRequest,
  type ReadLogResponse,
  type WitnessAuditLogRequest,
  type WitnessAuditLogResponse,
  type X509SvidResponse,
} from '#wire';
import { answer, type ServiceOptions } from './answer.ts';
import { fetchCrl, prepareRoot, witnessAuditLog } from './answer-control.ts';
import { listAllExpiries, noteJoinToken } from './answer-expiry.ts';
import { fetchJwtKeys, fetchRedactionKeys, issueJwtSvid } from './answer-jwt.ts';
import { readLog } from './answer-log.ts';
import { enrol, issueSvid, sealed } from './answer-svid.ts';
import { createAttestAgent } from './attest-agent.ts';

/** The Issuance service of issuance.proto. */
export function createIssuanceService(options: ServiceOptions): GrpcService {
  return {
    service: Issuance,
    implementation: {
      enrol: answer(options, 'Enrol', (request: EnrolRequest) => enrol(options, request)),
      attestAgent: createAttestAgent({ ...options, seal: (grant) => sealed(options, grant) }),
      issueX509Svid: answer<IssueX509SvidRequest, X509SvidResponse>(
        options,
        'IssueX509Svid',
        (request, caller) => issueSvid(options, request, caller),
      ),
      fetchCrl: answer<FetchCrlRequest, FetchCrlResponse>(
        options,
        'FetchCrl',
        async (_request, caller) => fetchCrl(options, caller),
      ),
      prepareRoot: answer<PrepareRootRequest, PrepareRootResponse>(
        options,
        'PrepareRoot',
        async (_request, caller) => prepareRoot(options, caller),
      ),
      witnessAuditLog: answer<WitnessAuditLogRequest, WitnessAuditLogResponse>(
        options,
        'WitnessAuditLog',
        async (request, caller) => witnessAuditLog(options, request, caller),
      ),
      listExpiries: answer<ListExpiriesRequest, ListExpiriesResponse>(
        options,
        'ListExpiries',
        async (_request, caller) => listAllExpiries(options, caller),
      ),
      noteJoinToken: answer<NoteJoinTokenRequest, NoteJoinTokenResponse>(
        options,
        'NoteJoinToken',
        async (request, caller) => noteJoinToken(options, request, caller),
      ),
      readLog: answer<ReadLogRequest, ReadLogResponse>(
        options,
        'ReadLog',
        async (request, caller) => readLog(options, request, caller),
      ),
      issueJwtSvid: answer<IssueJwtSvidRequest, JwtSvidResponse>(
        options,
        'IssueJwtSvid',
        (request, caller) => issueJwtSvid(options, request, caller),
      ),
      fetchJwtKeys: answer<FetchJwtKeysRequest, FetchJwtKeysResponse>(
        options,
        'FetchJwtKeys',
        async (_request, caller) => fetchJwtKeys(options, caller),
      ),
      fetchRedactionKeys: answer<FetchRedactionKeysRequest, FetchRedactionKeysResponse>(
        options,
        'FetchRedactionKeys',
        async (_request, caller) => fetchRedactionKeys(options, caller),
      ),
    },
  };
}
