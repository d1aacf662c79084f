import { parseCidr } from '#lib';
import type { Problem, Range } from './diagnostic.ts';
import { child, entry, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  integer,
  listOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  recordOf,
  required,
  text,
} from './schema.ts';

/**
 * Where the text of a secret is: never in the resource. `file` is a name within the folder of sinks' secrets at the
 * control plane, `env` a variable of its process that begins with `PALISADE_SINK_`.
 */
export type SinkSecret = { readonly file: string } | { readonly env: string };

/** A header of each request; its value as it is, or out of a secret. */
export type SinkHeader = { readonly value: string } | SinkSecret;

/** A receiver that is spoken to by HTTP or gRPC. */
export type SinkHttp = {
  readonly endpoint: string;
  readonly headers?: Readonly<Record<string, SinkHeader>>;
  readonly compression: 'none' | 'gzip';
};

/** Where and how a syslog server is reached, `tls://HOST:PORT`, `tcp://` or `udp://`. */
export type SinkSyslog = {
  readonly endpoint: string;
  readonly facility: (typeof SYSLOG_FACILITIES)[number];
  readonly appName: string;
};

/** A file of lines below the folder of sinks' files, turned over at a size. */
export type SinkFile = {
  readonly name: string;
  readonly maxBytes: number;
  readonly maxFiles: number;
};

/** A signed webhook. */
export type SinkWebhook = SinkHttp & {
  readonly signing: {
    readonly secret: SinkSecret;
    /** Signs besides it while receivers change over. */
    readonly previous?: SinkSecret;
  };
};

/** How a TLS server proves itself, and this side to it; certificates are PEM text. */
export type SinkTls = {
  /** Absent: the web's authorities. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: SinkSecret;
  /** The name its certificate must hold, where that is not the endpoint's host. */
  readonly serverName?: string;
};

/** RFC 5424 table 1, the ones a program may use, by their customary names. */
export const SYSLOG_FACILITIES = [
  'user',
  'daemon',
  'auth',
  'authpriv',
  'audit',
  'alert',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

const MIB = 1024 * 1024;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

const secret: Reader<SinkSecret> = object(
  'a secret',
  { file: optional(text(checkFileName)), env: optional(text(checkVariable)) },
  (value, node, context) => {
    if ((value.file === undefined) !== (value.env === undefined)) return;
    context.report.error(
      node.range,
      oneOfThese('a secret is in a file or in a variable', 'file', 'env'),
    );
  },
) as Reader<SinkSecret>;

const header: Reader<SinkHeader> = object(
  'a header',
  {
    value: optional(text(checkHeaderValue)),
    file: optional(text(checkFileName)),
    env: optional(text(checkVariable)),
  },
  (value, node, context) => {
    if (Object.values(value).filter((part) => part !== undefined).length === 1) return;
    context.report.error(node.range, oneOfThese('a header has one value', 'value', 'file', 'env'));
  },
) as Reader<SinkHeader>;

const http = {
  endpoint: required(text(checkHttpEndpoint), 'write the `https://` URL of the receiver'),
  headers: optional(recordOf(checkHeaderName, header, 32)),
  compression: defaulted(oneOf(['none', 'gzip']), () => 'none' as const),
};

/** Reads a receiver of HTTP or gRPC. */
export const readSinkHttp: Reader<SinkHttp> = object('a receiver', http, checkHttp);

/** Reads a webhook. */
export const readSinkWebhook: Reader<SinkWebhook> = object(
  'webhook',
  {
    ...http,
    signing: required(
      object('signing', {
        secret: required(secret, 'write `secret: {file: NAME}`'),
        previous: optional(secret),
      }),
      'write `signing: {secret: {file: NAME}}`: a webhook that is not signed proves nothing',
    ),
  },
  checkHttp,
);

/** Reads a syslog server. */
export const readSinkSyslog: Reader<SinkSyslog> = object(
  'syslog',
  {
    endpoint: required(text(checkSyslogEndpoint), 'write for example `tls://logs.example:6514`'),
    facility: defaulted(oneOf(SYSLOG_FACILITIES), () => 'local0' as const),
    appName: defaulted(text(checkAppName), () => 'palisade'),
  },
  warnOfPlaintext,
);

/** Reads a file. */
export const readSinkFile: Reader<SinkFile> = object('file', {
  name: required(text(checkFileName), 'write a file name, e.g. `evidence.jsonl`'),
  maxBytes: defaulted(integer(4096, 1024 * MIB), () => 64 * MIB),
  maxFiles: defaulted(integer(1, 1000), () => 8),
});

/** Reads what both sides of TLS prove themselves by. */
export const readSinkTls: Reader<SinkTls> = object(
  'tls',
  {
    ca: optional(text(checkPem)),
    certificate: optional(text(checkPem)),
    key: optional(secret),
    serverName: optional(text(checkHost)),
  },
  (value, node, context) => {
    if ((value.certificate === undefined) === (value.key === undefined)) return;
    context.report.error(node.range, {
      code: 'missing_field',
      message: '`certificate` and `key` go together',
      help: 'write both, the key as `{file: NAME}`, or neither',
    });
  },
);

/** Reads a CIDR list that says where else a sink may lead. */
export const readAllowedAddresses: Reader<readonly string[]> = listOf(
  text((value) => {
    const parsed = parseCidr(value);
    if (parsed.ok) return undefined;
    return {
      code: 'bad_value',
      message: parsed.error,
      help: 'write for example `169.254.10.0/24`',
    };
  }),
  { maxItems: 16 },
);

type HttpFields = {
  readonly endpoint?: string;
  readonly headers?: Readonly<Record<string, SinkHeader>>;
};

function checkHttp(value: HttpFields, node: MapNode, context: Context): void {
  warnOfPlaintext(value, node, context);
  for (const [name, header] of Object.entries(value.headers ?? {})) {
    // SECURITY: resources are shown, kept for ever and sent to every enforcement point.
    if (!('value' in header) || !/auth|token|key|secret|cookie|pass/i.test(name)) continue;
    context.report.error(entry(child(node, 'headers'), name)?.value.range ?? node.range, {
      code: 'bad_value',
      message: `${quote(name)} looks like a secret, and resources are no place for one`,
      help: 'put it into a file of the control plane and write `{file: NAME}`',
    });
  }
}

/** SECURITY: what leaves in plaintext anybody on the way reads and changes, evidence and credentials alike. */
function warnOfPlaintext(
  value: { readonly endpoint?: string },
  node: MapNode,
  context: Context,
): void {
  const url = urlOf(value.endpoint ?? '');
  if (url === undefined || ['https:', 'tls:'].includes(url.protocol)) return;
  if (isLoopback(url.hostname)) return;
  context.report.warn(entry(node, 'endpoint')?.value.range ?? node.range, {
    code: 'plaintext_evidence',
    message: `evidence leaves for \`${url.hostname}\` unencrypted`,
    help: 'write `https://`, or `tls://` for syslog',
  });
}

function isLoopback(host: string): boolean {
  return /^127\.\d+\.\d+\.\d+$/.test(host) || host === '[::1]' || host === 'localhost';
}

function urlOf(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function checkHttpEndpoint(value: string): Problem | undefined {
  const url = urlOf(value);
  const fits =
    url !== undefined &&
    ['https:', 'http:'].includes(url.protocol) &&
    isBare(url) &&
    url.search === '';
  return fits ? undefined : badEndpoint(value, 'https://collector.example:4318');
}

function checkSyslogEndpoint(value: string): Problem | undefined {
  const url = urlOf(value);
  const fits =
    url !== undefined &&
    ['tls:', 'tcp:', 'udp:'].includes(url.protocol) &&
    isBare(url) &&
    url.port !== '' &&
    ['', '/'].includes(url.pathname) &&
    url.search === '';
  return fits ? undefined : badEndpoint(value, 'tls://logs.example:6514');
}

// SECURITY: a user name or password in a URL would be a secret in the resource.
function isBare(url: URL): boolean {
  return url.username === '' && url.password === '' && url.hash === '' && url.hostname !== '';
}

function badEndpoint(value: string, example: string): Problem {
  return {
    code: 'bad_value',
    message: `${quote(withoutUserinfo(value))} is not an endpoint`,
    help: `write for example \`${example}\`, without user name, password, query and fragment`,
  };
}

function withoutUserinfo(value: string): string {
  return value.replace(/\/\/[^/@]*@/, '//…@');
}

function checkFileName(value: string): Problem | undefined {
  if (FILE_NAME.test(value) && !value.includes('..')) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a file name`,
    help: 'write a name without folders: the file is in a folder of the control plane',
  };
}

function checkVariable(value: string): Problem | undefined {
  if (/^PALISADE_SINK_[A-Z0-9_]{1,64}$/.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a variable that sinks may read`,
    help: 'write a name that begins with `PALISADE_SINK_`',
  };
}

function checkHeaderName(key: string, at: Range, context: Context): void {
  const isTaken = /^(host|content-.*|transfer-encoding|connection|webhook-.*|te|upgrade)$/i.test(
    key,
  );
  if (/^[A-Za-z0-9-]{1,64}$/.test(key) && !isTaken) return;
  context.report.error(at, {
    code: 'bad_value',
    message: `${quote(key)} is not a header that a sink may set`,
    help: 'write a name like `x-tenant` or `authorization`',
  });
}

function checkHeaderValue(value: string): Problem | undefined {
  if (/^[\t -~]{1,1024}$/.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} cannot be sent in a header`,
    help: 'printable ASCII only',
  };
}

// RFC 5424 section 6: APP-NAME is at most 48 characters of printable ASCII.
function checkAppName(value: string): Problem | undefined {
  if (/^[!-~]{1,48}$/.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a name of an application`,
    help: 'write at most 48 printable ASCII characters without spaces',
  };
}

function checkPem(value: string): Problem | undefined {
  if (/PRIVATE KEY/.test(value)) {
    return {
      code: 'bad_value',
      message: 'a private key in a resource is known to everybody who reads the resource',
      help: 'put it into a file of the control plane and write `key: {file: NAME}`; make a new one, too',
    };
  }
  if (/^\s*-----BEGIN CERTIFICATE-----/.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: 'this is not a certificate in PEM',
    help: 'write `|` and, indented below it, the certificate as a PEM block',
  };
}

function checkHost(value: string): Problem | undefined {
  if (/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value)) return undefined;
  return {
    code: 'bad_value',
    message: `${quote(value)} is not a host name`,
    help: 'write for example `collector.example`',
  };
}

function oneOfThese(message: string, ...names: readonly string[]): Problem {
  const list = names.map((name) => `\`${name}\``).join(', ');
  return { code: 'conflicting_fields', message, help: `write exactly one of ${list}` };
}
