import {
  canonicalPath,
  fail,
  ok,
  type PathNormalization,
  type PathProblem,
  type Result,
} from '#lib';

/**
 * The path that policy judges for a request target as people type it: without query and fragment,
 * what no URI holds literally escaped, and then in the canonical form of `#lib`. The error says in
 * words why proxies refuse the target before policy.
 */
export function canonicalTarget(target: string, mode: PathNormalization): Result<string, string> {
  const end = target.search(/[?#]/);
  const raw = end < 0 ? target : target.slice(0, end);
  const typed = raw
    .toWellFormed()
    .replace(/[^!-~]/gu, (character) => encodeURIComponent(character));
  const canonical = canonicalPath(typed, mode);
  return canonical.ok ? ok(canonical.value) : fail(PROBLEMS[canonical.error]);
}

/** The host that policy judges: lower case, no trailing dot, and no port that is the Service's own. */
export function canonicalHost(host: string, port: number): string {
  const [, name = '', written] = /^(.*?)(?::(\d+))?$/s.exec(host.toLowerCase()) ?? [];
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  return written === undefined || Number(written) === port ? bare : `${bare}:${written}`;
}

const PROBLEMS: Readonly<Record<PathProblem, string>> = {
  not_absolute: 'it does not begin with /',
  illegal_character: 'it holds a character that no path may hold',
  bad_escape: 'a percent sign is not followed by two digits',
  not_utf8: 'its escapes are not UTF-8',
  escaped_control: 'it holds the escape of a control character',
  escaped_slash: 'it holds an escaped slash or backslash',
  backslash: 'it holds a backslash',
  repeated_slash: 'it holds //',
  dot_segment: 'it holds a dot segment',
};
