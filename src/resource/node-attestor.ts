import { parseAuthorities, parseJwk } from '#identity';
import type { Problem } from './diagnostic.ts';
import type { Metadata } from './metadata.ts';
import type { MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  listOf,
  type ObjectOf,
  object,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';

/** By which evidence hosts may join the mesh; read by the CA, which verifies it. */
export type NodeAttestorResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'NodeAttestor';
  readonly metadata: Metadata;
  readonly spec: NodeAttestorSpec;
};

/** Exactly one kind of evidence; PEM and JWKS are text. */
export type NodeAttestorSpec = {
  /** An X.509 certificate that leads to one of these roots, and proof of its key. */
  readonly x509pop?: { readonly roots: string };
  /** An SSH host certificate by one of these keys (`ssh-ed25519 AAAA…`), and proof of the host's. */
  readonly sshpop?: { readonly authorities: readonly string[] };
  /** A TPM whose endorsement key is named, or certified by one of these roots. */
  readonly tpm?: { readonly ekSha256: readonly string[]; readonly ekRoots?: string };
  /** A service account token projected into the agent's pod. */
  readonly k8sPsat?: {
    readonly cluster: string;
    readonly issuer: string;
    readonly jwks: string;
    readonly audience: string;
    /** `NAMESPACE:NAME`. */
    readonly serviceAccounts: readonly string[];
  };
  /** An instance identity document of AWS, signed by one of these certificates. */
  readonly awsIid?: Cloud & { readonly accounts: readonly string[]; readonly certificates: string };
  /** An instance identity token of Google Cloud. */
  readonly gcpIit?: CloudToken & { readonly projects: readonly string[] };
  /** A token of an Azure machine's managed identity. */
  readonly azureMsi?: CloudToken & { readonly tenants: readonly string[] };
};

type Cloud = {
  /** Instances that may use their document once more; else it counts once, since whoever reads it can repeat it. */
  readonly again: readonly string[];
};
type CloudToken = Cloud & { readonly jwks: string; readonly audience: string };

const AUDIENCE = 'palisade-ca';

const pem = text((value) => {
  const parsed = parseAuthorities(value);
  return parsed.ok
    ? undefined
    : bad(parsed.error, 'write `|` and, indented below it, the certificates as PEM blocks');
});

const jwks = text((value) => jwksProblem(value));

const sshKey = text((value) =>
  /^(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]+={0,2}(?: .*)?$/.test(
    value,
  )
    ? undefined
    : bad(`${quote(value)} is not an SSH public key`, 'write a line of a `.pub` file'),
);

const hex64 = text((value) =>
  /^[0-9a-f]{64}$/.test(value)
    ? undefined
    : bad(
        `${quote(value)} is not a SHA-256 in hex`,
        'write 64 digits, as `sha256sum` prints them for the DER of the public key',
      ),
);

const word = text((value) =>
  /^[A-Za-z0-9._-]{1,63}$/.test(value)
    ? undefined
    : bad(`${quote(value)} is not a name`, 'write letters, digits, `.`, `_` and `-`, at most 63'),
);

const account = text((value) =>
  /^[a-z0-9.-]{1,253}:[a-z0-9.-]{1,253}$/.test(value)
    ? undefined
    : bad(`${quote(value)} is not a service account`, 'write `NAMESPACE:NAME`'),
);

const words = listOf(word, { maxItems: 1000 });
const again = defaulted(listOf(word, { maxItems: 1000, mayBeEmpty: true }), () => []);
const audience = defaulted(text(), () => AUDIENCE);
const keys = required(jwks, "write the platform's key set as JSON text");

const fields = {
  x509pop: optional(object('x509pop', { roots: required(pem, 'write the roots as PEM') })),
  sshpop: optional(
    object('sshpop', {
      authorities: required(listOf(sshKey, { maxItems: 64 }), 'write the keys that sign host keys'),
    }),
  ),
  tpm: optional(
    object(
      'tpm',
      {
        ekSha256: defaulted(listOf(hex64, { mayBeEmpty: true }), () => []),
        ekRoots: optional(pem),
      },
      checkTpm,
    ),
  ),
  k8sPsat: optional(
    object('k8sPsat', {
      cluster: required(word, 'name the cluster'),
      issuer: required(
        text(),
        'write what `kubectl get --raw /.well-known/openid-configuration` calls issuer',
      ),
      jwks: keys,
      audience,
      serviceAccounts: required(listOf(account), 'write whose agents may join, `NAMESPACE:NAME`'),
    }),
  ),
  awsIid: optional(
    object('awsIid', {
      accounts: required(words, 'write the account ids whose instances may join'),
      certificates: required(pem, "write AWS's certificate of your region as PEM"),
      again,
    }),
  ),
  gcpIit: optional(
    object('gcpIit', {
      projects: required(words, 'write the project ids whose instances may join'),
      jwks: keys,
      audience,
      again,
    }),
  ),
  azureMsi: optional(
    object('azureMsi', {
      tenants: required(words, 'write the tenant ids whose machines may join'),
      jwks: keys,
      audience,
      again,
    }),
  ),
};

/** Reads the spec of a NodeAttestor. */
export const readNodeAttestorSpec: Reader<NodeAttestorSpec> = object(
  'a NodeAttestor',
  fields,
  checkOneKind,
);

function checkOneKind(
  _value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const written = node.entries.filter(({ key }) => Object.hasOwn(fields, key));
  const kinds = Object.keys(fields)
    .map((kind) => `\`${kind}\``)
    .join(', ');
  if (written.length === 0) {
    context.report.error(node.range, {
      code: 'missing_field',
      message: 'a NodeAttestor says one kind of evidence',
      help: `write one of ${kinds}`,
    });
  }
  for (const { key, keyRange } of written.slice(1)) {
    context.report.error(keyRange, {
      code: 'bad_value',
      message: `${quote(key)} is a second kind of evidence`,
      help: 'write a NodeAttestor of its own for it',
    });
  }
}

function checkTpm(
  value: { readonly ekSha256?: readonly string[]; readonly ekRoots?: string },
  node: MapNode,
  context: Context,
): void {
  if ((value.ekSha256?.length ?? 0) > 0 || value.ekRoots !== undefined) return;
  context.report.error(node.range, {
    code: 'missing_field',
    message: '`tpm` names no endorsement key',
    help: "write `ekSha256` with the keys' digests, or `ekRoots` with the manufacturers' certificates",
  });
}

function jwksProblem(value: string): Problem | undefined {
  const help = 'write `jwks: |` and, indented below it, `{"keys": [...]}`, each key with its `kid`';
  try {
    const { keys: list } = JSON.parse(value) as { keys?: unknown };
    if (!Array.isArray(list) || list.length === 0) return bad('the key set has no keys', help);
    const usable = list.filter((jwk) => typeof jwk === 'object' && jwk !== null && parseJwk(jwk));
    return usable.length > 0 ? undefined : bad('the key set has no key that can sign tokens', help);
  } catch {
    // What the parser says of a position in it helps nobody.
    return bad('the key set is not JSON', help);
  }
}

function bad(message: string, help: string): Problem {
  return { code: 'bad_value', message, help };
}
