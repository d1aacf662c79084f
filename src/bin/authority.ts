import { readFileSync } from 'node:fs';
import { type AuthorityOptions, EXIT } from '#cli';
import { layoutOf, readTrustRoot } from '#client';
import { explainAuthorityError, loadMeshProcesses, readProblem, StartError } from '#local';
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
      process.stdout.write(explained(() => requestAuthority(of)));
      return EXIT.done;
    }
    const text = readNamed(action.file);
    if (action.kind === 'sign') {
      const signed = explained(() => signRequest(of, { csrPem: text, ttlMs: action.ttlMs }));
      if (!signed.ok) return refuse(signed.error);
      process.stdout.write(signed.value);
      return EXIT.done;
    }
    const imported = explained(() => importChain(of, text));
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

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explainAuthorityError(error);
  }
}

function readNamed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = readProblem(error);
    throw new StartError(`\`${path}\`: ${why}`, 'name a file in PEM');
  }
}

function refuse(why: string): number {
  process.stderr.write(`palisade: ${why}\n`);
  return EXIT.no;
}
