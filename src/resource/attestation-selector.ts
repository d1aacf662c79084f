import { isDnsLabel } from './names.ts';
import { quote, text } from './schema.ts';

type Form = { readonly matches: (value: string) => boolean; readonly example: string };

const isHex64 = (value: string): boolean => /^[0-9a-f]{64}$/.test(value);
const isWord = (value: string): boolean => /^[^\s\p{C}]{1,512}$/u.test(value);
const isLabel = (value: string): boolean =>
  /^[A-Za-z0-9._/-]{1,317}:[A-Za-z0-9._-]{0,63}$/.test(value);
const word = (example: string): Form => ({ matches: isWord, example });

const HEX = '0123456789abcdef'.repeat(4);

/** What attestation can find of a process, by the selector's type. */
const PROCESS: Readonly<Record<string, Form>> = {
  'unix:uid': { matches: isId, example: 'unix:uid:1000' },
  'unix:gid': { matches: isId, example: 'unix:gid:1000' },
  'unix:user': { matches: isAccountName, example: 'unix:user:www-data' },
  'unix:group': { matches: isAccountName, example: 'unix:group:www-data' },
  'unix:supplementary_gid': { matches: isId, example: 'unix:supplementary_gid:999' },
  'unix:supplementary_group': {
    matches: isAccountName,
    example: 'unix:supplementary_group:ssl-cert',
  },
  'unix:path': { matches: isAbsolutePath, example: 'unix:path:/usr/bin/python3.13' },
  'unix:sha256': { matches: isHex64, example: `unix:sha256:${HEX}` },
  'palisade:service': { matches: isServiceName, example: 'palisade:service:default/web' },
  'systemd:id': { matches: isUnit, example: 'systemd:id:nginx.service' },
  'container:id': { matches: isHex64, example: `container:id:${HEX}` },
  'container:runtime': { matches: isRuntime, example: 'container:runtime:containerd' },
  'k8s:ns': word('k8s:ns:default'),
  'k8s:sa': word('k8s:sa:web'),
  'k8s:pod-name': word('k8s:pod-name:web-0'),
  'k8s:pod-uid': word('k8s:pod-uid:8b1fa2b6-7c9a-4c54-9f5e-0d7d8e2a1f00'),
  'k8s:node-name': word('k8s:node-name:node-1'),
  'k8s:pod-label': { matches: isLabel, example: 'k8s:pod-label:app:web' },
  'k8s:container-name': word('k8s:container-name:server'),
  'k8s:container-image': word('k8s:container-image:registry.example.org/web:1.2'),
};

/** What the authority finds out of a host by itself. */
const HOST: Readonly<Record<string, Form>> = {
  'agent:id': { matches: isAbsolutePath, example: 'agent:id:/palisade/agent/node-7' },
  'agent:attestor': word('agent:attestor:x509pop'),
  'join_token:host': word('join_token:host:node-7'),
  'x509pop:fingerprint': { matches: isHex64, example: `x509pop:fingerprint:${HEX}` },
  'x509pop:subject': word('x509pop:subject:cn:node-7.example.org'),
  'x509pop:san': word('x509pop:san:dns:node-7.example.org'),
  'sshpop:fingerprint': { matches: isHex64, example: `sshpop:fingerprint:${HEX}` },
  'sshpop:key-id': word('sshpop:key-id:node-7'),
  'sshpop:host': word('sshpop:host:node-7.example.org'),
  'tpm:ek-sha256': { matches: isHex64, example: `tpm:ek-sha256:${HEX}` },
  'k8s_psat:cluster': word('k8s_psat:cluster:production'),
  'k8s_psat:agent_ns': word('k8s_psat:agent_ns:palisade'),
  'k8s_psat:agent_sa': word('k8s_psat:agent_sa:agent'),
  'k8s_psat:agent_pod_uid': word('k8s_psat:agent_pod_uid:8b1fa2b6-7c9a-4c54-9f5e-0d7d8e2a1f00'),
  'k8s_psat:agent_node_name': word('k8s_psat:agent_node_name:node-7'),
  'aws_iid:account': word('aws_iid:account:123456789012'),
  'aws_iid:instance-id': word('aws_iid:instance-id:i-0123456789abcdef0'),
  'aws_iid:region': word('aws_iid:region:eu-central-1'),
  'aws_iid:az': word('aws_iid:az:eu-central-1a'),
  'aws_iid:image-id': word('aws_iid:image-id:ami-0123456789abcdef0'),
  'gcp_iit:project-id': word('gcp_iit:project-id:shop'),
  'gcp_iit:zone': word('gcp_iit:zone:europe-west3-a'),
  'gcp_iit:instance-name': word('gcp_iit:instance-name:node-7'),
  'azure_msi:tenant-id': word('azure_msi:tenant-id:8b1fa2b6-7c9a-4c54-9f5e-0d7d8e2a1f00'),
  'azure_msi:subscription-id': word(
    'azure_msi:subscription-id:8b1fa2b6-7c9a-4c54-9f5e-0d7d8e2a1f00',
  ),
  'azure_msi:resource-group': word('azure_msi:resource-group:shop'),
  'azure_msi:vm-name': word('azure_msi:vm-name:node-7'),
};

const FORMS: Readonly<Record<string, Form>> = { ...PROCESS, ...HOST };

/** An attested fact that a Registration demands of a process or its host. */
export const attestationSelector = text((value) => {
  const [, type = '', rest = ''] = /^([^:]*:[^:]*):(.*)$/s.exec(value) ?? [];
  const known = Object.hasOwn(FORMS, type) ? FORMS[type] : undefined;
  if (known?.matches(rest) === true) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a selector`,
    help:
      known === undefined
        ? `write for example \`unix:uid:1000\`; the types are ${Object.keys(FORMS).join(', ')}`
        : `write for example \`${known.example}\``,
  };
});

function isId(value: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(value) && Number(value) <= 0xff_ff_ff_ff;
}

function isAccountName(value: string): boolean {
  return /^[A-Za-z0-9._][-A-Za-z0-9._]{0,63}\$?$/.test(value);
}

function isAbsolutePath(value: string): boolean {
  return (
    value.startsWith('/') &&
    value.length <= 4096 &&
    !value.includes('\0') &&
    !/\/(?:\.{0,2})(?:\/|$)/.test(value)
  );
}

function isServiceName(value: string): boolean {
  const parts = value.split('/');
  return parts.length === 2 && parts.every(isDnsLabel);
}

// systemd.unit(5)
function isUnit(value: string): boolean {
  return /^[A-Za-z0-9:_.\\@-]{1,248}\.service$/.test(value);
}

function isRuntime(value: string): boolean {
  return ['docker', 'containerd', 'cri-o', 'podman'].includes(value);
}
