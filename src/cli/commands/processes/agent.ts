import { hostname } from 'node:os';
import { Option } from 'commander';
import type { CommandModule } from '../../command-module.ts';
import type { AttestOptions } from '../../context.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { parseHostPort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

const ATTEST_KINDS = [
  'join_token',
  'x509pop',
  'sshpop',
  'tpm',
  'k8s_psat',
  'aws_iid',
  'gcp_iit',
  'azure_msi',
] as const;

/** `palisade agent` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('agent')
    .description(
      'the agent of this host: attests processes, serves the SPIFFE Workload API, relays configuration',
    )
    .option('--host-name <name>', 'name of this host in its SPIFFE ID (default: the host name)')
    .option(
      '--peers <host:port>',
      'take revocations from other agents here, for when the control plane is away',
      parseHostPort,
    )
    .option(
      '--metrics <host:port>',
      'serve metrics and health here (15022 is usual)',
      parseHostPort,
    )
    .option('--allow-other-users', 'let processes of other users connect to the socket')
    .addOption(
      new Option(
        '--attest <kind>',
        "how this host proves itself (default: the mesh's own join token)",
      ).choices(ATTEST_KINDS),
    )
    .option('--token-file <file>', 'join_token, k8s_psat: the token')
    .option(
      '--cert <file>',
      "x509pop, sshpop: the machine's certificate (PEM with intermediates; a `-cert.pub`)",
    )
    .option('--key <file>', 'x509pop, sshpop: its key')
    .option('--tcti <text>', 'tpm: how tpm2-tools reach it, e.g. device:/dev/tpmrm0')
    .option('--cluster <name>', 'k8s_psat: the cluster, as the NodeAttestor names it')
    .option('--audience <text>', 'gcp_iit, azure_msi: whom the token is for', 'palisade-ca')
    .option('--metadata-url <url>', "aws_iid, gcp_iit, azure_msi: the machine's metadata service")
    .option(
      '--kubelet <url>',
      'on a node of Kubernetes: ask its kubelet, e.g. https://127.0.0.1:10250',
    )
    .option('--kubelet-ca <file>', "PEM of the authority of its certificate (default: the pod's)")
    .option('--kubelet-token <file>', "token to show it (default: the pod's service account token)")
    .option('--node-name <name>', 'name in its certificate (default: the host name)')
    .addHelpText(
      'after',
      `
Examples:
  $ palisade agent --data /var/lib/palisade --allow-other-users
  $ palisade agent --attest join_token --token-file node-7.token
  $ palisade agent --attest x509pop --cert /etc/machine/cert.pem --key /etc/machine/key.pem
  $ palisade agent --data /var/lib/palisade --kubelet https://127.0.0.1:10250 --node-name node-1
`,
    )
    .action(async (options, command) => {
      const { dataDir, output, verbose } = globalsOf(command, context);
      finish(
        await context.processes.agent({
          dataDir,
          output,
          verbose,
          hostName: options.hostName,
          peers: options.peers,
          metrics: options.metrics,
          allowOtherUsers: options.allowOtherUsers === true,
          attest: attestOf(options),
          kubelet: options.kubelet === undefined ? undefined : kubeletOf(options),
        }),
      );
    });
};

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

function kubeletOf(options: Readonly<Record<string, string | undefined>>) {
  return {
    url: options['kubelet'] ?? '',
    caFile: options['kubeletCa'] ?? `${SERVICE_ACCOUNT}/ca.crt`,
    tokenFile: options['kubeletToken'] ?? `${SERVICE_ACCOUNT}/token`,
    nodeName: options['nodeName'] ?? hostname(),
  };
}

type Flags = Readonly<Record<string, string | undefined>>;

function attestOf(options: Flags): AttestOptions | undefined {
  const kind = options['attest'] as (typeof ATTEST_KINDS)[number] | undefined;
  if (kind === undefined) return undefined;
  const needed = (flag: string, name: string): string => {
    const value = options[name];
    if (value !== undefined) return value;
    const message = `\`--attest ${kind}\` needs \`${flag}\``;
    throw new ExitError(EXIT.usage, message, 'see `palisade agent --help`');
  };
  switch (kind) {
    case 'join_token':
      return { kind, tokenFile: needed('--token-file FILE', 'tokenFile') };
    case 'tpm':
      return { kind, tcti: options['tcti'] };
    case 'x509pop':
    case 'sshpop': {
      const certificateFile = needed('--cert FILE', 'cert');
      return { kind, certificateFile, keyFile: needed('--key FILE', 'key') };
    }
    case 'k8s_psat': {
      const tokenFile = options['tokenFile'] ?? '/var/run/secrets/tokens/palisade';
      return { kind, cluster: needed('--cluster NAME', 'cluster'), tokenFile };
    }
    default:
      return { kind, metadataUrl: options['metadataUrl'], audience: options['audience'] ?? '' };
  }
}
