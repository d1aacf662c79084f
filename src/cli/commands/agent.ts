import { hostname } from 'node:os';
import type { CommandModule } from '../commands.ts';
import { parseHostPort } from '../flags.ts';
import { globalsOf } from '../globals.ts';

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
    .option('--allow-other-users', 'let processes of other users connect to the socket')
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
          allowOtherUsers: options.allowOtherUsers === true,
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
