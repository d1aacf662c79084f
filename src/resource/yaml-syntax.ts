import type { Problem } from './diagnostic.ts';

/** What the YAML library's error codes mean for somebody who writes a policy, and what to do. */
const HELP_BY_CODE: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'remove the anchor or tag before the alias',
  BAD_ALIAS: 'put a value that begins with `*` or `&` in quotes: "*"',
  BAD_DIRECTIVE: 'remove the line that begins with `%`',
  BAD_DQ_ESCAPE: 'write `\\\\` for a backslash, or use single quotes',
  BAD_INDENT: 'indent the line like its neighbours, with spaces',
  BAD_PROP_ORDER: 'write the anchor or tag right before its value',
  BAD_SCALAR_START: 'put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'begin the nested mapping on a line of its own, or put the value in quotes',
  BLOCK_IN_FLOW: 'close the bracket or brace before',
  IMPOSSIBLE: 'remove what stands here',
  KEY_OVER_1024_CHARS: 'shorten the key',
  MISSING_CHAR: 'add the missing character',
  MULTILINE_IMPLICIT_KEY: 'is a `:` missing at the end of the line before, or a quote open?',
  MULTIPLE_ANCHORS: 'keep one anchor',
  MULTIPLE_DOCS: 'put `---` between documents',
  MULTIPLE_TAGS: 'remove the tags',
  TAB_AS_INDENT: 'indent with spaces: YAML allows no tabs',
  TAG_RESOLVE_FAILED: 'remove the tag: resources need none',
  UNEXPECTED_TOKEN: 'remove it, or put the value in quotes',
};

/** The problem for an error of the YAML library. */
export function yamlSyntaxProblem(code: string, message: string): Problem {
  const [, quote] = /^Missing closing (["'])quote/.exec(message) ?? [];
  if (quote !== undefined) {
    return {
      code: 'yaml_syntax',
      message: `a text in quotes does not end: the closing \`${quote}\` is missing`,
      help: 'close the text where it ends; it may have been opened many lines before',
    };
  }
  const [, bracket] = /^Flow \S+ in block collection .* end with a ([\]}])/.exec(message) ?? [];
  if (bracket !== undefined) {
    return {
      code: 'yaml_syntax',
      message: `a list or mapping in brackets does not end: \`${bracket}\` is missing before this`,
      help: `add \`${bracket}\` where it ends, or indent what belongs to it`,
    };
  }
  return {
    code: 'yaml_syntax',
    message: message.charAt(0).toLowerCase() + message.slice(1, 200).replace(/[.\s]+$/, ''),
    help: HELP_BY_CODE[code] ?? 'correct the YAML here',
  };
}
