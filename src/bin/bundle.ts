// Run once by `npm ci`: puts each main of `ENTRIES` and all that it imports into a few files. A process made of some 500
// modules holds their texts and what the module loader keeps of each: 14 MB more, and it starts later.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { asciiOnly } from './ascii-only.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
// INVARIANT: as deep below the root as src/LAYER/, so that `new URL('../../NAME', import.meta.url)` is the same file in both.
const FOLDER = join(ROOT, 'dist', 'bundle');
/** Mains in src/bin/ that bin/ starts, and what compiles the bundle ahead. */
const ENTRIES = ['palisade', 'record-thread', 'verify-thread', 'warm'];
/** What is native, finds its own files by where it lies, or is wanted by a feature of gRPC that nobody here uses. */
const EXTERNAL = [/^koffi/, /^pino/, /^rolldown/, /^@grpc\/proto-loader/];

rmSync(FOLDER, { recursive: true, force: true });
const bundle = await rolldown({
  cwd: ROOT,
  input: Object.fromEntries(ENTRIES.map((name) => [name, `src/bin/${name}.ts`])),
  platform: 'node',
  external: EXTERNAL,
  plugins: [asciiOnly()],
  logLevel: 'warn',
});
const { output } = await bundle.write({
  dir: FOLDER,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  // Names stay: stack traces in bug reports are read by people.
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
});
await bundle.close();

const modules = output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []));
const sources = modules.filter((path) => path.startsWith(join(ROOT, 'src')));
const madeOf = [...sources, join(ROOT, 'package.json'), join(ROOT, 'package-lock.json')];
const files = madeOf.map((path) => {
  const { size: bytes, mtimeMs: modifiedAtMs } = statSync(path);
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  return { path: relative(ROOT, path), bytes, modifiedAtMs, sha256 };
});
writeFileSync(join(FOLDER, 'made-of.json'), JSON.stringify({ files }));
