import { x509popEvidence } from './certificate.ts';
import { awsIidEvidence, azureMsiEvidence, gcpIitEvidence } from './cloud.ts';
import type { EvidenceSource } from './evidence-source.ts';
import { sshpopEvidence } from './ssh.ts';
import { joinTokenEvidence, k8sPsatEvidence } from './token.ts';
import { tpmEvidence } from './tpm.ts';

/** How an operator says that a host proves itself; paths of files, and for clouds where their metadata service is. */
export type EvidenceConfig =
  | { readonly kind: 'join_token'; readonly tokenFile: string }
  | { readonly kind: 'x509pop'; readonly certificateFile: string; readonly keyFile: string }
  | { readonly kind: 'sshpop'; readonly certificateFile: string; readonly keyFile: string }
  | { readonly kind: 'tpm'; readonly tcti?: string | undefined }
  | { readonly kind: 'k8s_psat'; readonly cluster: string; readonly tokenFile: string }
  | {
      readonly kind: 'aws_iid' | 'gcp_iit' | 'azure_msi';
      readonly metadataUrl?: string | undefined;
      readonly audience: string;
    };

/** The source of the evidence that `config` names. */
export function createEvidenceSource(config: EvidenceConfig): EvidenceSource {
  switch (config.kind) {
    case 'join_token':
      return joinTokenEvidence(config.tokenFile);
    case 'x509pop':
      return x509popEvidence(config.certificateFile, config.keyFile);
    case 'sshpop':
      return sshpopEvidence(config.certificateFile, config.keyFile);
    case 'tpm':
      return tpmEvidence(config);
    case 'k8s_psat':
      return k8sPsatEvidence(config.cluster, config.tokenFile);
    case 'aws_iid':
      return awsIidEvidence(config.metadataUrl);
    case 'gcp_iit':
      return gcpIitEvidence(config.audience, config.metadataUrl);
    case 'azure_msi':
      return azureMsiEvidence(config.audience, config.metadataUrl);
  }
}
