import type { RbacNode, RbacRules } from './envoy-rbac.ts';

/** An AuthorizationPolicy as authored, of the parts that Istio translates. */
export type AuthoredPolicy = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly action?: string; readonly rules?: readonly AuthoredRule[] };
};

type Lists = Readonly<Record<string, readonly string[]>>;

/** One rule as authored. */
export type AuthoredRule = {
  readonly from?: readonly { readonly source: Lists }[];
  readonly to?: readonly { readonly operation: Lists }[];
  readonly when?: readonly {
    readonly key: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
};

/**
 * The RBAC rules that Istio makes of the policies of one action. Our own writing of what its
 * translations in the corpus show, and held against them, so that policies of any shape can be put
 * before an Envoy. `domains` are the trust domain and its aliases.
 */
export function istioRbac(
  policies: readonly AuthoredPolicy[],
  action: 'ALLOW' | 'DENY',
  domains: readonly string[],
): RbacRules | undefined {
  const own = policies.filter(({ spec }) => (spec.action ?? 'ALLOW') === action);
  if (own.length === 0) return undefined;
  const entries = own.flatMap(({ metadata, spec }) => {
    const name = `ns[${metadata.namespace}]-policy[${metadata.name}]`;
    const scope = { domains, namespace: metadata.namespace };
    if (spec.rules === undefined || spec.rules.length === 0) {
      return [[`${name}-rule[0]`, NOBODY] as const];
    }
    return spec.rules.map((rule, i) => [`${name}-rule[${i}]`, translated(rule, scope)] as const);
  });
  return {
    ...(action === 'DENY' && { action }),
    policies: Object.fromEntries(entries),
  };
}

type Scope = { readonly domains: readonly string[]; readonly namespace: string };
type RbacPolicy = NonNullable<RbacRules['policies']>[string];

const ANY: RbacNode = { any: true };
const NOBODY: RbacPolicy = {
  permissions: [{ notRule: ANY }],
  principals: [{ notId: ANY }],
};

function translated(rule: AuthoredRule, scope: Scope): RbacPolicy {
  const when = (side: 'rule' | 'id') =>
    (rule.when ?? []).flatMap(({ key, values = [], notValues = [] }) => {
      if (PERMISSION_KEYS.has(key) !== (side === 'rule')) return [];
      return [...listed(side, key, values, scope), ...negated(side, key, notValues, scope)];
    });
  const lists = (side: 'rule' | 'id', authored: Lists) =>
    Object.entries(authored).flatMap(([list, values]) => {
      const not = /^not[A-Z]/.test(list);
      const key = KEY_OF_LIST[not ? list.charAt(3).toLowerCase() + list.slice(4) : list];
      if (key === undefined) throw new Error(`unknown list ${list}`);
      return (not ? negated : listed)(side, key, values, scope);
    });
  const operations = rule.to ?? [{ operation: {} }];
  const sources = rule.from ?? [{ source: {} }];
  return {
    permissions: operations.map(({ operation }) =>
      all('rule', [...lists('rule', operation), ...when('rule')]),
    ),
    principals: sources.map(({ source }) => all('id', [...lists('id', source), ...when('id')])),
  };
}

const KEY_OF_LIST: Readonly<Record<string, string>> = {
  principals: 'source.principal',
  requestPrincipals: 'request.auth.principal',
  namespaces: 'source.namespace',
  serviceAccounts: 'source.serviceAccount',
  ipBlocks: 'source.ip',
  remoteIpBlocks: 'remote.ip',
  methods: 'methods',
  hosts: 'hosts',
  paths: 'paths',
  ports: 'destination.port',
};
const PERMISSION_KEYS = new Set(['destination.ip', 'destination.port', 'connection.sni']);

function all(side: 'rule' | 'id', nodes: readonly RbacNode[]): RbacNode {
  const inner = nodes.length === 0 ? [ANY] : nodes;
  return side === 'rule' ? { andRules: { rules: inner } } : { andIds: { ids: inner } };
}

function any(side: 'rule' | 'id', nodes: readonly RbacNode[]): RbacNode {
  return side === 'rule' ? { orRules: { rules: nodes } } : { orIds: { ids: nodes } };
}

function listed(
  side: 'rule' | 'id',
  key: string,
  values: readonly string[],
  scope: Scope,
): readonly RbacNode[] {
  if (values.length === 0) return [];
  const whole = wholeMatcher(key, values);
  if (whole !== undefined) return [whole];
  return [
    any(
      side,
      values.flatMap((value) => matchers(key, value, scope)),
    ),
  ];
}

function negated(
  side: 'rule' | 'id',
  key: string,
  values: readonly string[],
  scope: Scope,
): readonly RbacNode[] {
  const [node] = listed(side, key, values, scope);
  if (node === undefined) return [];
  return [side === 'rule' ? { notRule: node } : { notId: node }];
}

/** What Istio matches by one node for all values: claims, and request principals. */
function wholeMatcher(key: string, values: readonly string[]): RbacNode | undefined {
  if (key === 'request.auth.principal') {
    const pairs = values.map(issuerAndSubject);
    return pairs.length === 1 ? pairs[0] : { orIds: { ids: pairs } };
  }
  const path = claimPath(key);
  if (path === undefined) return undefined;
  const strings = values.map((value) => ({ stringMatch: stringMatcher(value) }));
  const either = strings.length === 1 ? strings[0] : { orMatch: { valueMatchers: strings } };
  return claim(path, {
    orMatch: { valueMatchers: [{ listMatch: { oneOf: either } }, either] },
  });
}

function claimPath(key: string): readonly string[] | undefined {
  if (key === 'request.auth.audiences') return ['aud'];
  if (key === 'request.auth.presenter') return ['azp'];
  const brackets = /^request\.auth\.claims\[(.+)\]$/.exec(key)?.[1];
  return brackets?.split('][');
}

function claim(path: readonly string[], value: unknown): RbacNode {
  return {
    metadata: {
      filter: 'envoy.filters.http.jwt_authn',
      path: ['payload', ...path].map((name) => ({ key: name })),
      value,
    },
  };
}

function issuerAndSubject(value: string): RbacNode {
  const slash = value.lastIndexOf('/');
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? '' : value.slice(slash + 1);
  const some = stringMatcher('*');
  const [iss, sub] = ((): readonly [RbacNode, RbacNode] => {
    if (value === '*') return [some, some];
    if (value.startsWith('*')) {
      return slash < 0 ? [some, stringMatcher(value)] : [stringMatcher(issuer), { exact: subject }];
    }
    if (value.endsWith('*')) {
      return slash < 0 ? [stringMatcher(value), some] : [{ exact: issuer }, stringMatcher(subject)];
    }
    return [{ exact: issuer }, { exact: subject }];
  })();
  return {
    andIds: {
      ids: [claim(['iss'], { stringMatch: iss }), claim(['sub'], { stringMatch: sub })],
    },
  };
}

function matchers(key: string, value: string, scope: Scope): readonly RbacNode[] {
  const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1];
  if (header !== undefined) return [headerMatcher(header, value, {})];
  switch (key) {
    case 'source.principal':
      return aliased(value, scope.domains).map((name) => identity(principalMatcher(name)));
    case 'source.namespace':
      return [identity(regex(`.*/ns/${value.split('*').map(escaped).join('.*')}/.*`))];
    case 'source.serviceAccount': {
      const [first = '', second] = value.split('/');
      const [ns, sa] = second === undefined ? [scope.namespace, first] : [first, second];
      return [identity(regex(`spiffe://.+/ns/${ns}/(.+/|)sa/${sa}(/.+)?`))];
    }
    case 'source.ip':
      return [{ directRemoteIp: block(value) }];
    case 'remote.ip':
      return [{ remoteIp: block(value) }];
    case 'destination.ip':
      return [{ destinationIp: block(value) }];
    case 'destination.port':
      return [{ destinationPort: Number(value) }];
    case 'connection.sni':
      return [{ requestedServerName: stringMatcher(value) }];
    case 'methods':
      return [headerMatcher(':method', value, {})];
    case 'hosts':
      return [headerMatcher(':authority', value, { ignoreCase: true })];
    case 'paths':
      return [pathMatcher(value)];
    default:
      throw new Error(`unknown key ${key}`);
  }
}

function identity(principalName: RbacNode): RbacNode {
  return { authenticated: { principalName } };
}

function stringMatcher(value: string): RbacNode {
  if (value === '*') return regex('.+');
  if (value.startsWith('*')) return { suffix: value.slice(1) };
  return value.endsWith('*') ? { prefix: value.slice(0, -1) } : { exact: value };
}

function headerMatcher(name: string, value: string, more: RbacNode): RbacNode {
  if (value === '*') return { header: { name, presentMatch: true } };
  return { header: { name, stringMatch: { ...stringMatcher(value), ...more } } };
}

function pathMatcher(value: string): RbacNode {
  if (!/\{\*\*?\}/.test(value)) return { urlPath: { path: stringMatcher(value) } };
  return {
    uriTemplate: {
      name: 'uri-template',
      typedConfig: {
        '@type':
          'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
        pathTemplate: value.replaceAll('{*}', '*').replaceAll('{**}', '**'),
      },
    },
  };
}

function principalMatcher(value: string): RbacNode {
  if (value === '*') return regex('.+');
  if (value.startsWith('*')) return regex(`spiffe://.*${escaped(value.slice(1))}`);
  if (value.endsWith('*')) return { prefix: `spiffe://${value.slice(0, -1)}` };
  return { exact: `spiffe://${value}` };
}

function aliased(value: string, domains: readonly string[]): readonly string[] {
  const [named = '', ...rest] = value.split('/');
  if (rest.length !== 4 || named === '*') return [value];
  const fits = (domain: string) =>
    named === domain ||
    (named.startsWith('*') && domain.endsWith(named.slice(1))) ||
    (named.endsWith('*') && domain.startsWith(named.slice(0, -1)));
  if (named !== 'cluster.local' && !domains.some(fits)) return [value];
  const names = domains.map((domain) =>
    named.startsWith('*') && domain.endsWith(named.slice(1)) ? value : [domain, ...rest].join('/'),
  );
  return [...new Set(names)];
}

function block(value: string): RbacNode {
  const [address = '', bits] = value.split('/');
  return {
    addressPrefix: address,
    prefixLen: bits === undefined ? (address.includes(':') ? 128 : 32) : Number(bits),
  };
}

function regex(text: string): RbacNode {
  return { safeRegex: { regex: text } };
}

// RE2's QuoteMeta, of what occurs in names.
function escaped(text: string): string {
  return text.replace(/[.+*?()|[\]{}^$\\]/g, '\\$&');
}
