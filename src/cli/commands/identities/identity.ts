import { fetchAll, type Identity } from '../../api-types.ts';
import type { CommandModule } from '../../command-module.ts';
import { EXIT, ExitError } from '../../exit.ts';
import { globalsOf, sessionOf } from '../../globals.ts';
import { age, printResult, table } from '../../output.ts';
import { listRevoked, registerRevoking } from './revoking.ts';

/** `palisade identity list|show|revoke|unrevoke` */
export const register: CommandModule['register'] = (program, context) => {
  const identity = program
    .command('identity')
    .description('identities issued by the CA, from its log, and their revocation');
  identity.addHelpText(
    'after',
    '\nExamples:\n  $ palisade identity list\n  $ palisade identity revoke web --reason "key on a lost laptop"\n',
  );
  registerRevoking(identity, context);
  identity
    .command('list')
    .description('who has an identity now, and until when')
    .option('--all', 'every certificate in the log, not just the newest of each identity')
    .option('--revoked', 'what is revoked, by whom and why')
    .addHelpText('after', '\nExample:\n  $ palisade identity list\n')
    .action(async (options, command) => {
      const globals = globalsOf(command, context);
      if (options.revoked === true) return listRevoked(context, globals);
      const path = options.all === true ? '/identities' : '/identities?current=true';
      const identities = await fetchAll<Identity>(sessionOf(globals).api, path);
      const none = options.all === true ? 'no certificate is in the log' : 'nobody has an identity';
      printResult(context, globals.output, identities, () =>
        identities.length === 0 ? none : tableOf(identities),
      );
    });
  identity
    .command('show')
    .description('every certificate of one identity, or the one with this serial')
    .argument('<id>', 'SPIFFE ID, serial number or account name')
    .addHelpText(
      'after',
      '\nExample:\n  $ palisade identity show spiffe://cluster.local/ns/default/sa/web\n',
    )
    .action(async (id: string, _options, command) => {
      const globals = globalsOf(command, context);
      const identities = await fetchAll<Identity>(sessionOf(globals).api, '/identities');
      const wanted = id.startsWith('spiffe://') ? id : `/ns/${globals.namespace}/sa/${id}`;
      const matching = identities.filter(
        (entry) => entry.spiffeId.endsWith(wanted) || entry.serial === id.toLowerCase(),
      );
      if (matching.length === 0) {
        throw new ExitError(
          EXIT.no,
          `no certificate was issued for \`${id}\``,
          'see `palisade identity list --all`',
        );
      }
      printResult(context, globals.output, matching, () =>
        matching.map((entry) => detailOf(entry)).join('\n\n'),
      );
    });
};

function tableOf(identities: readonly Identity[]): string {
  const now = Date.now();
  const rows = identities.map((entry) => [
    entry.spiffeId,
    entry.serial,
    age(entry.issuedAt, now),
    age(entry.expiresAt, now),
    entry.allowedBy,
  ]);
  return table([['SPIFFE ID', 'SERIAL', 'AGE', 'EXPIRES IN', 'ALLOWED BY'], ...rows]);
}

function detailOf(entry: Identity): string {
  return [
    entry.spiffeId,
    `  serial        ${entry.serial}`,
    `  issued        ${entry.issuedAt}`,
    `  expires       ${entry.expiresAt}`,
    `  selectors     ${entry.selectors.join(', ') || '-'}`,
    `  attestation   ${entry.attestation ?? '-'}`,
    `  allowed by    ${entry.allowedBy}`,
    `  requested by  ${entry.requestedBy}`,
    `  sha256        ${entry.certificateSha256}`,
    `  log entry     ${entry.logNumber}`,
  ].join('\n');
}
