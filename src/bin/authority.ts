import { readFileSync } from 'node:fs';
import { type AuthorityOptions, EXIT } from '#cli';
import { layoutOf, readTrustRoot } from '#client';
import { loadMeshProcesses, StartError } from '#local';
import { reportStartErrors } from './report-start-error.ts';

/** `palisade ca csr`, `import-chain` and `sign-csr`: beside the running authority, on its own folder. */
export function authority(options: AuthorityOptions): Promise<number> {
  return reportStartErrors(async () => {
    const { openAuthority } = await loadMeshProcesses();
    const folder = layoutOf(options.dataDir);
    const trustRoot = readTrustRoot(folder);
    if (!trustRoot.ok) throw new StartError(trustRoot.error, 'name its data folder with --data');
    const { requestAuthority, importChain, signRequest, of } = await openAuthority({
      folder,
      trustRoot: trustRoot.value,
    });
    const { action } = options;
    if (action.kind === 'request') {
      process.stdout.write(requestAuthority(of));
      return EXIT.done;
    }
    const text = readFileSync(action.file, 'utf8');
    if (action.kind === 'sign') {
      const signed = signRequest(of, { csrPem: text, ttlMs: action.ttlMs });
      if (!signed.ok) return refuse(signed.error);
      process.stdout.write(signed.value);
      return EXIT.done;
    }
    const imported = importChain(of, text);
    if (!imported.ok) return refuse(imported.error);
    const { root, isTrusted, expiresAt } = imported.value;
    const then = isTrusted
      ? 'the authority takes it up within 30 s'
      : 'run `palisade ca rotate`: it is the next root';
    const until = new Date(expiresAt).toISOString();
    process.stdout.write(`below root ${root.slice(0, 16)} until ${until}; ${then}\n`);
    return EXIT.done;
  });
}

function refuse(why: string): number {
  process.stderr.write(`palisade: ${why}\n`);
  return EXIT.no;
}
