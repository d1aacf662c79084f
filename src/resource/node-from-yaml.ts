import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type ParsedNode,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Problem, Range, Report } from './diagnostic.ts';
import type { Entry, Node, ScalarNode } from './node.ts';
import { quote } from './schema.ts';

// Aliases are for a list of principals used twice, not for documents that unfold to gigabytes.
const MAX_EXPANDED_NODES = 20_000;

type Conversion = {
  readonly report: Report;
  /** Where in the file the parsed text begins. */
  readonly offset: number;
  /** Anchors whose node is complete, so that an alias inside its own anchor finds nothing. */
  readonly anchors: Map<string, Sized>;
  usesAliases: boolean;
};

/** A node and the number of nodes a walk through it visits, aliases unfolded. */
type Sized = { readonly node: Node; readonly size: number };

/**
 * Turns a composed YAML document into plain nodes whose ranges are moved by `offset`; undefined
 * after an error that makes it unreadable. Reports are relative to the parsed text.
 */
export function nodeFromYaml(options: {
  readonly root: ParsedNode;
  readonly offset: number;
  readonly report: Report;
}): Node | undefined {
  const { root, offset, report } = options;
  const conversion: Conversion = { report, offset, anchors: new Map(), usesAliases: false };
  const { node, size } = convert(root, conversion);
  if (!conversion.usesAliases || size <= MAX_EXPANDED_NODES) return node;
  report.error(textRange(root), {
    code: 'alias_expansion',
    message: `aliases unfold the document to more than ${MAX_EXPANDED_NODES} values`,
    help: 'write the repeated parts out, or split the resource',
  });
  return undefined;
}

function convert(yaml: ParsedNode | null, conversion: Conversion): Sized {
  if (yaml === null) return leaf(null, '', [0, 0]);
  if (isAlias(yaml)) return followAlias(yaml, conversion);
  let sized: Sized;
  if (isMap(yaml)) sized = convertMap(yaml as YAMLMap.Parsed, conversion);
  else if (isSeq(yaml)) sized = convertList(yaml as YAMLSeq.Parsed, conversion);
  else sized = convertScalar(yaml as Scalar.Parsed, conversion);
  if (yaml.anchor !== undefined) conversion.anchors.set(yaml.anchor, sized);
  return sized;
}

function followAlias(alias: Alias.Parsed, conversion: Conversion): Sized {
  const name = alias.source;
  conversion.usesAliases = true;
  const target = conversion.anchors.get(name);
  if (target !== undefined) return target;
  conversion.report.error(textRange(alias), {
    code: 'yaml_syntax',
    message: `the alias ${quote(`*${name}`)} has no anchor before it`,
    help: `mark the value it stands for with \`&${name.slice(0, 60)}\`, or put the text in quotes if a star is meant`,
  });
  return leaf(null, '', fileRange(alias, conversion));
}

function convertMap(yaml: YAMLMap.Parsed, conversion: Conversion): Sized {
  const entries: Entry[] = [];
  const seen = new Set<string>();
  let size = 1;
  for (const { key, value } of yaml.items) {
    const keyRange = fileRange(key, conversion);
    const name = keyText(key);
    if (name === undefined) {
      conversion.report.error(textRange(key), COMPLEX_KEY);
      continue;
    }
    const item = convert(value, conversion);
    size += item.size;
    if (seen.has(name)) conversion.report.error(textRange(key), duplicateKey(name));
    // A missing value has no place of its own: it is shown at its key.
    else
      entries.push({
        key: name,
        keyRange,
        value: value === null ? leaf(null, '', keyRange).node : item.node,
      });
    seen.add(name);
  }
  return { node: { kind: 'map', entries, range: fileRange(yaml, conversion) }, size };
}

function convertList(yaml: YAMLSeq.Parsed, conversion: Conversion): Sized {
  let size = 1;
  const items = yaml.items.map((item) => {
    const sized = convert(item, conversion);
    size += sized.size;
    return sized.node;
  });
  return { node: { kind: 'list', items, range: fileRange(yaml, conversion) }, size };
}

function convertScalar(yaml: Scalar.Parsed, conversion: Conversion): Sized {
  const { value } = yaml;
  const isPlain = value === null || ['string', 'number', 'boolean'].includes(typeof value);
  return leaf(
    isPlain ? (value as ScalarNode['value']) : String(value),
    yaml.source ?? '',
    fileRange(yaml, conversion),
  );
}

function leaf(
  value: ScalarNode['value'],
  source: string,
  range: Range,
): { node: ScalarNode; size: 1 } {
  return { node: { kind: 'scalar', value, source, range }, size: 1 };
}

/** A key as text; port numbers are written without quotes. */
function keyText(key: ParsedNode | null): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? undefined);
}

/** The place of a node in the parsed text. */
function textRange(yaml: ParsedNode | null): Range {
  return yaml === null ? [0, 0] : [yaml.range[0], yaml.range[1]];
}

/** The place of a node in the file. */
function fileRange(yaml: ParsedNode | null, { offset }: Conversion): Range {
  const [start, end] = textRange(yaml);
  return [start + offset, end + offset];
}

function duplicateKey(name: string): Problem {
  return {
    code: 'duplicate_key',
    message: `the key ${quote(name)} is here for the second time`,
    help: 'keep one of them',
  };
}

const COMPLEX_KEY: Problem = {
  code: 'wrong_type',
  message: 'a key must be text',
  help: 'remove the `?` or the brackets, or put a value that begins with `{` or `*` in quotes',
};
