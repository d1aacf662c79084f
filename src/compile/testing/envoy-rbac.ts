import { cidrContains, parseCidr, parseIp } from '#lib';
import type { Question } from '#policy';

/** A node of Envoy's RBAC configuration as YAML gives it: one key names the matcher. */
export type RbacNode = Readonly<Record<string, unknown>>;

/** The policies of one RBAC filter, by name. */
export type RbacRules = {
  readonly action?: string;
  readonly policies?: Readonly<
    Record<
      string,
      { readonly permissions: readonly RbacNode[]; readonly principals: readonly RbacNode[] }
    >
  >;
};

/**
 * What Envoy's RBAC filter would do, for the matchers that Istio writes; throws on any other. Written from Envoy's API reference alone, so that it can judge our engine.
 */
export function rbacAllows(rules: RbacRules, question: Question): boolean {
  const matches = Object.values(rules.policies ?? {}).some(
    (policy) =>
      policy.permissions.some((node) => nodeMatches(node, question)) &&
      policy.principals.some((node) => nodeMatches(node, question)),
  );
  return rules.action === 'DENY' ? !matches : matches;
}

function nodeMatches(node: RbacNode, question: Question): boolean {
  const entries = Object.entries(node);
  const [kind = '', value] = entries[0] ?? [];
  if (entries.length !== 1) throw new Error(`an RBAC node with ${entries.length} keys`);
  switch (kind) {
    case 'any':
      return true;
    case 'andRules':
    case 'andIds':
      return nodesOf(value).every((child) => nodeMatches(child, question));
    case 'orRules':
    case 'orIds':
      return nodesOf(value).some((child) => nodeMatches(child, question));
    case 'notRule':
    case 'notId':
      return !nodeMatches(value as RbacNode, question);
    default:
      return leafMatches(kind, value, question);
  }
}

function leafMatches(kind: string, value: unknown, question: Question): boolean {
  const { request, source } = question;
  switch (kind) {
    case 'destinationPort':
      return question.destination.port === value;
    case 'directRemoteIp':
      return addressMatches(value as RbacNode, source.ip);
    case 'remoteIp':
      return addressMatches(value as RbacNode, source.remoteIp ?? '');
    case 'destinationIp':
      return addressMatches(value as RbacNode, question.destination.ip ?? '');
    case 'requestedServerName':
      return stringMatches(value as RbacNode, question.connection.sni ?? '');
    case 'metadata':
      return metadataMatches(value as RbacNode, request);
    case 'authenticated':
      return stringMatches((value as RbacNode)['principalName'] as RbacNode, source.id?.text);
    case 'urlPath':
      return stringMatches((value as RbacNode)['path'] as RbacNode, request?.path);
    case 'uriTemplate':
      return templateMatches(value as RbacNode, request?.path);
    case 'header':
      return headerMatches(value as RbacNode, request);
    default:
      throw new Error(`unknown RBAC matcher ${kind}`);
  }
}

function nodesOf(value: unknown): readonly RbacNode[] {
  const { rules, ids } = value as { rules?: readonly RbacNode[]; ids?: readonly RbacNode[] };
  return rules ?? ids ?? [];
}

/** Line by line, as Envoy was seen to do; the request line's parts have one line each. */
function headerMatches(header: RbacNode, request: Question['request']): boolean {
  const lines: string[] = [];
  if (header['name'] === ':method') lines.push(...(request === undefined ? [] : [request.method]));
  else if (header['name'] === ':authority')
    lines.push(...(request === undefined ? [] : [request.host]));
  else request?.headers?.collect(String(header['name']).toLowerCase(), lines);
  if (header['presentMatch'] === true) return lines.length > 0;
  return lines.some((line) => stringMatches(header['stringMatch'] as RbacNode, line));
}

/** The payload that jwt_authn leaves behind, by the path of its members. */
function metadataMatches(value: RbacNode, request: Question['request']): boolean {
  const path = (value['path'] as readonly { readonly key: string }[]).map(({ key }) => key);
  if (value['filter'] !== 'envoy.filters.http.jwt_authn' || path.shift() !== 'payload') {
    throw new Error(`metadata of ${String(value['filter'])}`);
  }
  let found: unknown = request?.claims;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return false;
    found = new Map<string, unknown>(Object.entries(found)).get(name);
  }
  return valueMatches(value['value'] as RbacNode, found);
}

function valueMatches(matcher: RbacNode, value: unknown): boolean {
  const [kind = '', inner] = Object.entries(matcher)[0] ?? [];
  const child = inner as RbacNode;
  switch (kind) {
    case 'stringMatch':
      return typeof value === 'string' && stringMatches(child, value);
    case 'orMatch':
      return (child['valueMatchers'] as readonly RbacNode[]).some((one) =>
        valueMatches(one, value),
      );
    case 'listMatch':
      return (
        Array.isArray(value) && value.some((item) => valueMatches(child['oneOf'] as RbacNode, item))
      );
    default:
      throw new Error(`unknown value matcher ${kind}`);
  }
}

function stringMatches(matcher: RbacNode, value: string | undefined): boolean {
  if (value === undefined) return false;
  const fold = (text: string) => (matcher['ignoreCase'] === true ? text.toLowerCase() : text);
  const [kind, wanted] = Object.entries(matcher).find(([key]) => key !== 'ignoreCase') ?? [];
  if (kind === 'exact') return fold(value) === fold(String(wanted));
  if (kind === 'prefix') return fold(value).startsWith(fold(String(wanted)));
  if (kind === 'suffix') return fold(value).endsWith(fold(String(wanted)));
  if (kind !== 'safeRegex') throw new Error(`unknown string matcher ${kind}`);
  return new RegExp(`^(?:${String((wanted as RbacNode)['regex'])})$`, 's').test(value);
}

function addressMatches(block: RbacNode, ip: string): boolean {
  const cidr = parseCidr(`${String(block['addressPrefix'])}/${String(block['prefixLen'])}`);
  const bytes = parseIp(ip);
  return cidr.ok && bytes !== undefined && cidrContains(cidr.value, bytes);
}

function templateMatches(value: RbacNode, path: string | undefined): boolean {
  if (path === undefined) return false;
  const config = value['typedConfig'] as RbacNode;
  const segment = "[A-Za-z0-9\\-._~%!$&'()*+,;:@=";
  const pattern = String(config['pathTemplate'])
    .split('/')
    .map((part) => {
      if (part === '**') return `${segment}/]*`;
      if (part === '*') return `${segment}]+`;
      return part.replace(/[^A-Za-z0-9]/g, '\\$&');
    })
    .join('/');
  return new RegExp(`^${pattern}$`).test(path);
}
