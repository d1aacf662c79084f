import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { commandLoaders } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/cli/exit.ts';
import { API_ERRORS } from '../../src/control/errors.ts';
import { METRIC } from '../../src/telemetry/names.ts';
import { authoredFiles, codeFiles, hasPath, textOf } from './tree.ts';

const PAGES = authoredFiles().filter((path) => path.endsWith('.md'));
const REFERENCE = PAGES.filter((path) => path.startsWith('docs/reference/'));

test('links in the docs lead somewhere', () => {
  const broken = PAGES.flatMap((page) =>
    [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^(https?|mailto):/.test(link)) return [];
      const [path = '', anchor] = link.split('#', 2);
      const target = path === '' ? page : join(dirname(page), path);
      if (!hasPath(target)) return [`${page}: ${link}`];
      return anchor === undefined || headingsOf(target).has(anchor) ? [] : [`${page}: ${link}`];
    }),
  );
  assert.deepEqual(broken, []);
});

test('files that the docs name exist', () => {
  const named = /`((?:src|test|docs|demo|bench|console)\/[\w./-]+\.\w+)`/g;
  const missing = PAGES.flatMap((page) =>
    [...textOf(page).matchAll(named)].flatMap(([, path = '']) =>
      hasPath(path) || /[A-Z]{3,}|\*/.test(path) ? [] : [`${page}: ${path}`],
    ),
  );
  assert.deepEqual(missing, []);
});

test('commands that the docs and the code name exist', () => {
  // The issuance log's hash begins with a line that reads like a command.
  const verbs = new Set([...Object.keys(commandLoaders), 'help', 'COMMAND', 'issuance']);
  const named = /(?:^|[`$;&]\s*|npx )palisade ([a-z][a-z-]*|[A-Z]+)\b/gm;
  const unknown = [...PAGES, ...codeFiles('src').filter((path) => path.startsWith('src/cli/'))]
    .filter((page) => page !== 'CHANGELOG.md')
    .flatMap((page) =>
      [...textOf(page).matchAll(named)].flatMap(([, verb = '']) =>
        verbs.has(verb) ? [] : [`${page}: palisade ${verb}`],
      ),
    );
  assert.deepEqual(unknown, []);
});

test('every command is in the reference', () => {
  const page = textOf('docs/reference/cli.md');
  const missing = Object.keys(commandLoaders).filter(
    (verb) => !page.includes(`\`palisade ${verb}`),
  );
  assert.deepEqual(missing, []);
});

test('npm scripts that the docs and CI name exist', () => {
  const scripts = new Set(Object.keys(JSON.parse(textOf('package.json')).scripts));
  const missing = [...PAGES, '.ci/run'].flatMap((page) =>
    [...textOf(page).matchAll(/\bnpm run (?:--silent )?([a-z][a-z:-]*)/g)].flatMap(
      ([, name = '']) => (scripts.has(name) ? [] : [`${page}: npm run ${name}`]),
    ),
  );
  assert.deepEqual(missing, []);
});

test('what CI runs is the line that the README shows', () => {
  const [, line] = /<!-- test -->\n```sh\n(.+)\n```\n<!-- end -->/.exec(textOf('README.md')) ?? [];
  assert.equal(line, 'npm ci && npm test');
  assert.match(textOf('.ci/run'), /test_line=\$\(readme_line test\)[\s\S]*eval "\$test_line"/);
});

test('metrics: the reference names exactly those there are', () => {
  const page = textOf('docs/reference/metrics.md');
  const documented = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(documented.toSorted(), Object.values(METRIC).toSorted());
});

test('metrics: their names stand in one file only', () => {
  const names = Object.values(METRIC);
  const elsewhere = codeFiles('src')
    .filter((path) => !path.endsWith('.test.ts') && path !== 'src/telemetry/names.ts')
    .filter((path) => names.some((name) => textOf(path).includes(`'${name}'`)));
  assert.deepEqual(elsewhere, []);
});

test('API errors: the reference has each code with its status and title, and no other', () => {
  const section = sectionOf('docs/reference/errors.md', 'What the API answers');
  const documented = Object.fromEntries(
    [...section.matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)].map(
      ([, code = '', status, title]) => [code, { status: Number(status), title }],
    ),
  );
  assert.deepEqual(documented, { ...API_ERRORS });
});

test('API: the reference has each route, and no other', () => {
  const routes = codeFiles('src/control/api').flatMap((path) =>
    [...textOf(path).matchAll(/^ {2}method: '(\w+)',\n {2}path: '([^']+)'/gm)].map(
      ([, method = '', route]) => `${method.toUpperCase()} /api/v1${route}`,
    ),
  );
  assert.ok(routes.length > 10, 'no routes were found');
  const page = textOf('docs/reference/api.md');
  const documented = [...page.matchAll(/^\| `([A-Z]+ \/api\/v1[^`]+)` \|/gm)].map(([, one]) => one);
  assert.deepEqual(documented.toSorted(), routes.toSorted());
});

test('what a caller sees: the reference has each reason with its two statuses, and no other', () => {
  const rows = textOf('src/proxy/respond.ts').matchAll(
    /^ {2}(\w+): (?:never|again)\(\s*(\d+),\s*GRPC\.(\w+)/gm,
  );
  const outcomes = Object.fromEntries(
    [...rows].map(([, kind = '', status, grpc]) => [kind, `${status} ${grpc}`]),
  );
  assert.ok(Object.keys(outcomes).length > 10, 'the table of respond.ts was not found');
  const section = sectionOf('docs/reference/errors.md', 'What a caller sees');
  const documented = Object.fromEntries(
    [...section.matchAll(/^\| `(\w+)` \| (\d+) \| \d+ (\w+) \|/gm)].map(
      ([, kind = '', status, grpc]) => [kind, `${status} ${grpc}`],
    ),
  );
  assert.deepEqual(documented, outcomes);
});

test('decision reasons: the reference has each, and no other', () => {
  const [, union = ''] =
    /export type ReasonCode =([\s\S]*?)\n\n/.exec(textOf('src/policy/question.ts')) ?? [];
  const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
  const section = sectionOf('docs/reference/errors.md', 'Why a decision fell');
  const documented = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(documented.toSorted(), codes.toSorted());
});

test('every table of error codes is in the reference', () => {
  const pages = REFERENCE.map(textOf).join('\n');
  const tables = codeFiles('src').filter((path) => path.endsWith('/errors.ts'));
  assert.ok(tables.length >= 3, 'no tables were found');
  const missing = tables.flatMap((path) =>
    [...tableOf(path).matchAll(/^ {2}([a-z_]+): ['{]/gm)].flatMap(([, code = '']) =>
      pages.includes(`| \`${code}\` |`) ? [] : [`${path}: ${code}`],
    ),
  );
  assert.deepEqual(missing, []);
});

test('exit statuses: the reference has each', () => {
  const section = sectionOf('docs/reference/errors.md', 'Exit status of commands');
  const documented = [...section.matchAll(/^\| (\d) \|/gm)].map(([, status]) => Number(status));
  assert.deepEqual(documented, Object.values(EXIT).toSorted());
});

test('the decisions are numbered without a gap and listed', () => {
  const files = PAGES.map((path) => /^docs\/decisions\/(\d{4})-/.exec(path)?.[1]).filter(
    (number) => number !== undefined,
  );
  assert.deepEqual(
    files,
    files.map((_, index) => String(index + 1).padStart(4, '0')),
  );
  const list = textOf('docs/decisions/README.md');
  for (const number of files) assert.ok(list.includes(`[${number}](${number}-`), number);
});

function tableOf(path: string): string {
  return /^export const \w+ = \{\n([\s\S]*?)^\} as const;/m.exec(textOf(path))?.[1] ?? '';
}

function sectionOf(page: string, heading: string): string {
  const [, rest = ''] = textOf(page).split(`## ${heading}\n`, 2);
  assert.notEqual(rest, '', `${page} has no section ${heading}`);
  return rest.split('\n## ')[0] ?? '';
}

function headingsOf(page: string): ReadonlySet<string> {
  const headings = [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('refused HTTP/2: the reference has each kind, and no other', () => {
  const [, list = ''] =
    /HTTP2_ERRORS = \[([\s\S]*?)\] as const/.exec(textOf('src/protocol/http2/messages.ts')) ?? [];
  const kinds = [...list.matchAll(/'(\w+)'/g)].map(([, kind]) => kind);
  assert.ok(kinds.length > 10, 'the list was not found');
  const section = sectionOf('docs/reference/http2.md', 'Kinds');
  const documented = [...section.matchAll(/^\| `(h2_\w+)` \|/gm)].map(([, kind]) => kind);
  assert.deepEqual(documented.toSorted(), kinds.toSorted());
});
