import type { Problem, Report } from './diagnostic.ts';
import { KIND_SCHEMAS, type KindSchema } from './kinds.ts';
import { type Metadata, metadataReader } from './metadata.ts';
import { nearest } from './nearest.ts';
import { child, entry, headOf, type MapNode, type Node } from './node.ts';
import { KINDS, type Kind, type Resource } from './resource.ts';
import { type Context, object, oneOf, optional, quote, type Reader, required } from './schema.ts';

/** What a document does not say by itself. */
export type ReadOptions = {
  readonly defaultNamespace: string;
  readonly trustDomain?: string | undefined;
};

/** Reads one document as a resource; undefined, and at least one error reported, if it is none. */
export function readResource(
  root: Node,
  report: Report,
  options: ReadOptions,
): Resource | undefined {
  const before = report.errorCount();
  if (root.kind !== 'map') {
    report.error(headOf(root), NOT_A_RESOURCE);
    return undefined;
  }
  const kind = readKind(root, report);
  if (kind === undefined) return undefined;
  const schema = KIND_SCHEMAS[kind];
  // The spec is read with the name and namespace, which its defaults and checks depend on.
  const context: Context = {
    report,
    trustDomain: options.trustDomain,
    namespace:
      schema.metadata.only?.namespace ??
      plainText(child(root, 'metadata'), 'namespace') ??
      options.defaultNamespace,
    name: schema.metadata.only?.name ?? plainText(child(root, 'metadata'), 'name') ?? '',
  };
  const read = documentReader(kind, schema)(root, context);
  schema.checkMetadata?.(read?.metadata, root, context);
  if (read?.metadata === undefined || read.spec === undefined || report.errorCount() > before)
    return undefined;
  const { metadata, spec } = read;
  return { apiVersion: schema.apiVersions[0], kind, metadata, spec } as Resource;
}

type DocumentValue = { readonly metadata: Metadata; readonly spec: Resource['spec'] };

const READERS = new Map<Kind, Reader<DocumentValue>>();

function documentReader(kind: Kind, schema: KindSchema): Reader<DocumentValue> {
  const made = READERS.get(kind);
  if (made !== undefined) return made;
  const [apiVersion] = schema.apiVersions;
  const what = `${kind === 'AuthorizationPolicy' ? 'an' : 'a'} ${kind}`;
  const metadataHelp = 'write `metadata: {name: NAME}`';
  const metadata = metadataReader(schema.metadata);
  const reader: Reader<DocumentValue> = object(what, {
    apiVersion: required(oneOf(schema.apiVersions), `write \`apiVersion: ${apiVersion}\``),
    kind: required(oneOf(KINDS), 'write the kind'),
    metadata:
      schema.metadata.only === undefined
        ? required(metadata, metadataHelp)
        : {
            ...optional(metadata),
            presence: 'required',
            fallback: () => schema.metadata.only as Metadata,
          },
    spec: required(schema.readSpec, 'write `spec: {}` if nothing but the defaults is meant'),
  });
  READERS.set(kind, reader);
  return reader;
}

function readKind(root: MapNode, report: Report): Kind | undefined {
  const written = entry(root, 'kind');
  if (written === undefined) {
    report.error(headOf(root), {
      code: 'missing_field',
      message: 'the document lacks the field `kind`',
      help: `write one of ${KINDS.map((kind) => `\`${kind}\``).join(', ')}`,
    });
    return undefined;
  }
  const word = plainText(root, 'kind');
  const kind = KINDS.find((kind) => kind === word);
  if (kind === undefined) {
    report.error(headOf(written.value), word === undefined ? KIND_IS_TEXT : unknownKind(word));
  }
  return kind;
}

function unknownKind(word: string): Problem {
  const guess = nearest(word, KINDS);
  const list = KINDS.map((kind) => `\`${kind}\``).join(', ');
  return {
    code: 'unknown_kind',
    message: `unknown kind ${quote(word)}`,
    help: guess === undefined ? `the kinds are ${list}` : `did you mean \`${guess}\`?`,
  };
}

function plainText(node: Node | undefined, key: string): string | undefined {
  const value = child(node, key);
  return value?.kind === 'scalar' && typeof value.value === 'string' && value.value !== ''
    ? value.value
    : undefined;
}

const KIND_IS_TEXT: Problem = {
  code: 'wrong_type',
  message: 'the kind is not text',
  help: `write one of ${KINDS.map((kind) => `\`${kind}\``).join(', ')}`,
};

const NOT_A_RESOURCE: Problem = {
  code: 'wrong_type',
  message: 'a document is a mapping with `apiVersion`, `kind`, `metadata` and `spec`',
  help: 'put `---` between resources instead of writing them as a list',
};
