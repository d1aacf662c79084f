import { InvalidArgumentError } from 'commander';
import { isTokenIssuer } from '#resource';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { parsePort } from '../../flags.ts';
import { globalsOf } from '../../globals.ts';

const EXAMPLES = `
It is a workload like any other: give it an identity by a Registration, or start it with \`palisade run\`. What it serves
comes from the Workload API's socket that SPIFFE_ENDPOINT_SOCKET names:
  /bundle                             the trust domain's SPIFFE bundle
  /keys                               the keys of JWT-SVIDs, with --issuer also /.well-known/openid-configuration

Example:
  $ palisade run --service bundles -- palisade bundle-endpoint --listen 127.0.0.1:8443
`;

/** `palisade bundle-endpoint` */
export const register: CommandModule['register'] = (program, context, finish) => {
  program
    .command('bundle-endpoint')
    .description("publishes the trust domain's bundle for federation, and OpenID Connect's keys")
    .option('--socket <path>', "the Workload API's socket (default: SPIFFE_ENDPOINT_SOCKET)")
    .option('--listen <host:port>', 'where to answer; port 0 takes a free one', address, {
      host: '127.0.0.1',
      port: 8443,
    })
    .option('--web-cert <file>', 'a certificate of the web (profile https_web), PEM')
    .option('--web-key <file>', 'its key, PEM')
    .option(
      '--issuer <url>',
      "OpenID Connect's issuer, letter by letter as the Mesh's jwtIssuer says it",
      issuerUrl,
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options, command) => {
      const { verbose } = globalsOf(command, context);
      const { webCert, webKey } = options;
      if ((webCert === undefined) !== (webKey === undefined)) {
        throw new ExitError(EXIT.usage, '--web-cert and --web-key go together', 'name both');
      }
      const socket = socketPath(options.socket ?? context.env['SPIFFE_ENDPOINT_SOCKET']);
      const { listen, issuer } = options;
      finish(
        await context.processes.bundleEndpoint({
          socket,
          listen,
          webCert,
          webKey,
          issuer,
          verbose,
        }),
      );
    });
};

// SPIFFE Workload Endpoint 4: the variable is a URI; a bare path is what people type.
function socketPath(text: string | undefined): string {
  const path = text?.replace(/^unix:(?:\/\/)?/, '');
  if (path?.startsWith('/') === true) return path;
  throw new ExitError(
    EXIT.usage,
    "the Workload API's socket is not known",
    'name it with --socket /PATH, or start this with `palisade run`',
  );
}

function issuerUrl(text: string): string {
  if (isTokenIssuer(text)) return text;
  throw new InvalidArgumentError('write an `https://` URL without query and final slash.');
}

function address(text: string): { readonly host: string; readonly port: number } {
  const match = /^(.+):(\d+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write HOST:PORT.');
  return { host: (match[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port: parsePort(match[2] ?? '') };
}
