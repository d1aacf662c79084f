// HTTP/2 requests that are unusual and mean one thing only: they pass, and every server must read alike what is forwarded of
// them. Each character is one byte; the service is `a`.

/** A request that passes. */
export type AcceptedH2Request = {
  readonly name: string;
  /** As sent, pseudo-header fields first: name, value, name, value … */
  readonly fields: readonly string[];
  /** DATA frames; none if undefined. */
  readonly data?: readonly string[];
  readonly trailers?: readonly string[];
};

/** All of them. */
export const ACCEPTED_H2: readonly AcceptedH2Request[] = [
  get('plain', '/'),
  get('a query is as it was sent', '/q?x=1&x=2&&y=%2F%20+;z'),
  get('reserved characters in a path', "/a;b=c/@:!$&'()*+,=/~-._"),
  get('percent-encoded beyond ASCII', '/%C3%A4/%E2%82%AC'),
  get('a long path', `/${'a'.repeat(4_000)}`),
  request('a method of no standard', 'M-SEARCH', '/x'),
  request('DELETE without a body', 'DELETE', '/x'),
  having(
    'no authority but a host',
    [':method', 'GET', ':scheme', 'http', ':path', '/h'],
    'host',
    'a',
  ),
  having('authority and the same host', pseudo('GET', '/h'), 'host', 'a'),
  {
    name: 'authority in upper case, with a port and a trailing dot',
    fields: [':method', 'GET', ':scheme', 'http', ':path', '/h', ':authority', 'A.:80'],
  },
  {
    name: 'the scheme that TLS has',
    fields: [':method', 'GET', ':scheme', 'https', ...pseudo('', '/s').slice(4)],
  },
  having(
    'values with blanks, tabs and quotes',
    pseudo('GET', '/f'),
    'x-a',
    'one  two\tthree "f, our"',
  ),
  having('an empty value', pseudo('GET', '/f'), 'x-a', ''),
  having('bytes beyond ASCII', pseudo('GET', '/f'), 'x-a', 'caf\xe9 \xff\x80'),
  having(
    'the same name again, order kept',
    pseudo('GET', '/f'),
    'x-a',
    '2',
    'x-b',
    '0',
    'x-a',
    '1',
  ),
  having(
    'commas are not split',
    pseudo('GET', '/f'),
    'accept',
    'text/html;q=0.5, */*',
    'accept',
    'a/b',
  ),
  having('every character of a token', pseudo('GET', '/f'), "x!#$%&'*+-.^_`|~0", '1'),
  having(
    'crumbs of a cookie',
    pseudo('GET', '/f'),
    'cookie',
    'a=1',
    'cookie',
    'b=2',
    'cookie',
    'c="3; 4"',
  ),
  having('te: trailers', pseudo('GET', '/f'), 'te', 'trailers'),
  having('what looks like another request', pseudo('GET', '/f'), 'x-a', 'GET /admin HTTP/1.1'),
  having(
    'credentials and a range',
    pseudo('GET', '/f'),
    'authorization',
    'Bearer a.b.c',
    'range',
    'bytes=0-1',
  ),
  having(
    'what only a sidecar may say is dropped',
    pseudo('GET', '/f'),
    'x-palisade-reason',
    'policy_denied',
  ),
  having('and also with underscores', pseudo('GET', '/f'), 'x_forwarded_client_cert', 'By=x'),
  having(
    'many fields',
    pseudo('GET', '/f'),
    ...Array.from({ length: 80 }, (_, i) => [`x-${i}`, `${i}`]).flat(),
  ),
  having('a long value', pseudo('GET', '/f'), 'x-a', 'v'.repeat(8_000)),
  post('a body without a length', ['hello']),
  post('a body in many frames, some empty', ['he', '', 'l', 'lo', '']),
  post('a body that looks like chunks', ['5\r\nhello\r\n0\r\n\r\n']),
  post('a body that looks like another request', ['GET /admin HTTP/1.1\r\nHost: a\r\n\r\n']),
  post('no body after all', ['']),
  post('a length', ['hello'], ['content-length', '5']),
  post('a length of nothing', [''], ['content-length', '0']),
  post(
    'a body of 40 kB with NUL',
    Array.from({ length: 5 }, () => '\0x'.repeat(4_000)),
  ),
  { ...post('trailers', ['hello']), trailers: ['x-sum', '5', 'x-sum', '6'] },
  { ...post('trailers without a body', []), trailers: ['x-sum', '0'] },
];

function pseudo(method: string, path: string): string[] {
  return [':method', method, ':scheme', 'http', ':path', path, ':authority', 'a'];
}

function request(name: string, method: string, path: string): AcceptedH2Request {
  return { name, fields: pseudo(method, path) };
}

function get(name: string, path: string): AcceptedH2Request {
  return request(name, 'GET', path);
}

function having(
  name: string,
  fields: readonly string[],
  ...more: readonly string[]
): AcceptedH2Request {
  return { name, fields: [...fields, ...more] };
}

function post(
  name: string,
  data: readonly string[],
  more: readonly string[] = [],
): AcceptedH2Request {
  return { name, fields: [...pseudo('POST', '/p'), ...more], data };
}
