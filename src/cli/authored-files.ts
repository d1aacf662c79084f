import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import {
  type AuthoredResource,
  type AuthoredTest,
  crossCheck,
  DANGEROUS_CODES,
  type Diagnostic,
  parseResources,
  type Resource,
  renderDiagnostics,
} from '#resource';
import type { CliContext } from './context.ts';
import { EXIT, ExitError } from './exit.ts';
import { wantsColor } from './output.ts';

/** What a set of files holds, and everything wrong with it. */
export type AuthoredFiles = {
  readonly resources: readonly AuthoredResource[];
  /** Policy tests among them; they are no resources and never leave this machine. */
  readonly tests: readonly AuthoredTest[];
  readonly diagnostics: readonly Diagnostic[];
  readonly files: number;
};

const MAX_FILES = 20_000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** Reads and parses every YAML and JSON file at or below `paths` (`-` is standard input). */
export async function readAuthored(
  paths: readonly string[],
  options: {
    readonly context: CliContext;
    readonly namespace: string;
    readonly live?: readonly Resource[];
    /** What a Mesh without one means, and Registrations are held against; default cluster.local. */
    readonly trustDomain?: string;
    /** Codes of dangerous things that are meant; undefined where nothing is put in force. */
    readonly accept?: readonly string[];
  },
): Promise<AuthoredFiles> {
  const files = await readTexts(paths, options.context);
  const parsed = parseResources(files, {
    defaultNamespace: options.namespace,
    ...(options.trustDomain === undefined ? {} : { trustDomain: options.trustDomain }),
  });
  const cross = crossCheck(parsed.resources, options.live ?? []);
  return {
    resources: parsed.resources,
    tests: parsed.tests,
    diagnostics: [...parsed.diagnostics, ...cross].map((found) => judged(found, options.accept)),
    files: files.length,
  };
}

/** Adds one code to those accepted before, or is a usage error. */
export function collectAccepted(text: string, before: readonly string[] = []): readonly string[] {
  if ((DANGEROUS_CODES as readonly string[]).includes(text)) return [...before, text];
  throw new InvalidArgumentError(`write one of ${DANGEROUS_CODES.join(', ')}.`);
}

// Not every TCP port that a namespace-wide policy meets makes it dangerous: there the warning stays one.
const REFUSED_AS_WARNINGS = new Set<string>(['fails_open', 'wide_wildcard']);

function judged(found: Diagnostic, accept: readonly string[] | undefined): Diagnostic {
  if (accept === undefined || !(DANGEROUS_CODES as readonly string[]).includes(found.code)) {
    return found;
  }
  if (accept.includes(found.code)) return { ...found, severity: 'warning' };
  if (found.severity === 'warning' && !REFUSED_AS_WARNINGS.has(found.code)) return found;
  const help = `${found.help}; if it is meant, --accept ${found.code}`;
  return { ...found, severity: 'error', help };
}

/** The texts of every YAML and JSON file at or below `paths`; ends the command where there is none. */
export async function readTexts(
  paths: readonly string[],
  context: CliContext,
): Promise<readonly { readonly file: string; readonly text: string }[]> {
  const files: { file: string; text: string }[] = [];
  for (const path of paths) {
    if (path === '-') files.push({ file: '<stdin>', text: await readStdin(context) });
    else for (const file of filesBelow(path)) files.push({ file, text: readText(file) });
  }
  if (files.length > 0) return files;
  throw new ExitError(
    EXIT.usage,
    `no .yaml, .yml or .json file in ${paths.map((path) => `\`${path}\``).join(', ')}`,
    '`palisade init DIR` writes examples to start from',
  );
}

/** Prints the problems; ends the command when one of them is an error. */
export function refuseErrors(authored: AuthoredFiles, context: CliContext): void {
  if (authored.diagnostics.length === 0) return;
  context.stderr.write(
    `${renderDiagnostics(authored.diagnostics, { color: wantsColor(context, context.stderr) })}\n`,
  );
  const errors = authored.diagnostics.filter(
    (diagnostic) => diagnostic.severity === 'error',
  ).length;
  if (errors > 0)
    throw new ExitError(
      EXIT.usage,
      `nothing was changed: ${errors} ${errors === 1 ? 'error' : 'errors'} above`,
    );
}

function filesBelow(path: string): string[] {
  let entries: string[];
  try {
    if (!statSync(path).isDirectory()) return [path];
    entries = readdirSync(path, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw new ExitError(
      EXIT.usage,
      `cannot read \`${path}\`: ${reasonOf(error)}`,
      'name a file or folder that exists and may be read',
    );
  }
  const files = entries.filter((entry) => /\.(ya?ml|json)$/.test(entry) && !isHidden(entry)).sort();
  if (files.length > MAX_FILES)
    throw new ExitError(
      EXIT.usage,
      `\`${path}\` holds more than ${MAX_FILES} files`,
      'name a smaller folder',
    );
  return files.map((entry) => join(path, entry));
}

// `.github/workflows/*.yaml` and the like lie beside policies without being any.
function isHidden(entry: string): boolean {
  return entry.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES) {
      throw new ExitError(
        EXIT.usage,
        `\`${file}\` is ${Math.round(size / 1024 / 1024)} MiB large`,
        'a resource file holds at most 16 MiB: split it',
      );
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ExitError) throw error;
    throw new ExitError(EXIT.usage, `cannot read \`${file}\`: ${reasonOf(error)}`);
  }
}

async function readStdin(context: CliContext): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of context.stdin as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_FILE_BYTES)
      throw new ExitError(EXIT.usage, 'standard input holds more than 16 MiB', 'split it');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Why a file cannot be read, in words. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES') return 'permission denied';
  return code ?? String(error);
}
