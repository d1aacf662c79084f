import type { Diagnostic, Problem, SourcePosition, SourceSpan } from './diagnostic.ts';
import { locate } from './node.ts';
import { isPolicyTest, type PolicyTest, readPolicyTest } from './policy-test.ts';
import { type ReadOptions, readResource } from './read-resource.ts';
import { readYaml } from './read-yaml.ts';
import type { Resource } from './resource.ts';
import { bySourceOrder, createReport, createSource } from './source.ts';

/** A resource together with the text it was written as. */
export type AuthoredResource = {
  readonly resource: Resource;
  readonly file: string;
  /** Where the value at a path of the resource stands; what is not written is shown where it would be. */
  readonly position: (path: readonly (string | number)[]) => SourcePosition;
  /** The same with the stretch to underline and its line. */
  readonly span: (path: readonly (string | number)[]) => SourceSpan;
  /** The document's own text, comments included. */
  readonly text: string;
};

/** A policy test with where its parts stand. */
export type AuthoredTest = {
  readonly test: PolicyTest;
  readonly position: AuthoredResource['position'];
};

/** What parsing found: resources and tests without errors, and the problems of all files, in their order. */
export type ParsedResources = {
  readonly resources: readonly AuthoredResource[];
  readonly tests: readonly AuthoredTest[];
  readonly diagnostics: readonly Diagnostic[];
};

const MAX_FILE_LENGTH = 4 * 1024 * 1024;
const MAX_TOTAL_LENGTH = 64 * 1024 * 1024;
const MAX_DIAGNOSTICS = 10_000;

/**
 * Parses files of YAML or JSON and reports every problem of every file. Never throws. A resource
 * with an error is not among the resources; one with warnings is.
 */
export function parseResources(
  files: readonly { readonly file: string; readonly text: string }[],
  options: ReadOptions,
): ParsedResources {
  const diagnostics: Diagnostic[] = [];
  const resources: AuthoredResource[] = [];
  const tests: AuthoredTest[] = [];
  let total = 0;
  for (const { file, text } of files) {
    total += text.length;
    const tooLarge = sizeProblem(text.length, total, diagnostics.length);
    if (tooLarge !== undefined) {
      createReport(createSource(file, text.slice(0, 200)), diagnostics).error([0, 0], tooLarge);
      if (total > MAX_TOTAL_LENGTH || diagnostics.length > MAX_DIAGNOSTICS) break;
      continue;
    }
    resources.push(...parseFile({ file, text, options, diagnostics, tests }));
  }
  return { resources, tests, diagnostics };
}

function parseFile(options: {
  readonly file: string;
  readonly text: string;
  readonly options: ReadOptions;
  readonly diagnostics: Diagnostic[];
  readonly tests: AuthoredTest[];
}): readonly AuthoredResource[] {
  const source = createSource(options.file, options.text);
  const own: Diagnostic[] = [];
  const report = createReport(source, own);
  const resources: AuthoredResource[] = [];
  for (const { root, text } of readYaml(source, report)) {
    const span = (path: readonly (string | number)[]) => source.span(locate(root, path));
    const position = (path: readonly (string | number)[]) => {
      const { file, line, column } = span(path);
      return { file, line, column };
    };
    if (isPolicyTest(root)) {
      const test = readPolicyTest(root, report, options.options);
      if (test !== undefined) options.tests.push({ test, position });
      continue;
    }
    const resource = readResource(root, report, options.options);
    if (resource === undefined) continue;
    resources.push({ resource, file: options.file, position, span, text });
  }
  options.diagnostics.push(...own.sort(bySourceOrder));
  return resources;
}

function sizeProblem(length: number, total: number, problems: number): Problem | undefined {
  if (total > MAX_TOTAL_LENGTH) {
    return {
      code: 'file_too_large',
      message: 'the files together are larger than 64 MiB',
      help: 'name fewer files at a time',
    };
  }
  if (problems > MAX_DIAGNOSTICS) {
    return {
      code: 'too_many_problems',
      message: 'more problems than can be listed, this and later files are not read',
      help: 'correct those above and validate again',
    };
  }
  if (length <= MAX_FILE_LENGTH) return undefined;
  return {
    code: 'file_too_large',
    message: 'the file is larger than 4 MiB and was not read',
    help: 'split it into several files',
  };
}
