import { fail, ok, type Result } from '#lib';
import type { Problem, Report } from './diagnostic.ts';
import { MAX_DEPTH, nodeFromJson } from './node.ts';
import { readResource } from './read-resource.ts';
import type { Resource } from './resource.ts';

// A file of its own, so that an agent or a sidecar, which reads no YAML, does not carry the library that does.

/**
 * Parses a resource from its stored JSON as strictly as an authored one; defaults left out are
 * filled in. The error names the first problem.
 */
export function parseStoredResource(value: unknown): Result<Resource, string> {
  const root = nodeFromJson(value, MAX_DEPTH);
  if (root === undefined) return fail('the resource is not JSON, or nested too deeply');
  const problems: Problem[] = [];
  const report: Report = {
    error: (_at, problem) => problems.push(problem),
    warn: () => {
      // Warnings were for the author; what is stored has been accepted.
    },
    errorCount: () => problems.length,
  };
  // A stored resource always names its namespace; without one it would count nowhere.
  const resource = readResource(root, report, { defaultNamespace: '' });
  const [first] = problems;
  if (first !== undefined) return fail(`${first.message} (${first.help})`);
  if (resource === undefined || resource.metadata.namespace === '')
    return fail('the resource names no namespace');
  return ok(resource);
}
