// Requests that are unusual and mean one thing only: they pass, and every server must read alike what is forwarded of them.
// Host is always a way to write `a`; each character is one byte.
import type { PathNormalization } from '#lib';

/** A request that passes, and what everybody must see of it. */
export type AcceptedRequest = {
  readonly raw: string;
  readonly method: string;
  readonly target: string;
  readonly body: string;
  /** The service's; default `STRICT`. */
  readonly paths?: PathNormalization;
};

const H = 'Host: a\r\n';

function get(target: string, canonical = target, paths?: PathNormalization): AcceptedRequest {
  const raw = `GET ${target} HTTP/1.1\r\n${H}\r\n`;
  const request = { raw, method: 'GET', target: canonical, body: '' };
  return paths === undefined ? request : { ...request, paths };
}

function withFields(fields: string): AcceptedRequest {
  const raw = `GET /f HTTP/1.1\r\n${H}${fields}\r\n\r\n`;
  return { raw, method: 'GET', target: '/f', body: '' };
}

function post(fields: string, sent: string, body = sent): AcceptedRequest {
  const raw = `POST /p HTTP/1.1\r\n${H}${fields}\r\n\r\n${sent}`;
  return { raw, method: 'POST', target: '/p', body };
}

function chunked(sent: string, body: string): AcceptedRequest {
  return post('Transfer-Encoding: chunked', sent, body);
}

function withHost(line: string, version = '1.1'): AcceptedRequest {
  return {
    raw: `GET /h HTTP/${version}\r\n${line}\r\n\r\n`,
    method: 'GET',
    target: '/h',
    body: '',
  };
}

function withMethod(method: string): AcceptedRequest {
  return { raw: `${method} /m HTTP/1.1\r\n${H}\r\n`, method, target: '/m', body: '' };
}

export const ACCEPTED: readonly AcceptedRequest[] = [
  get('/'),
  get('/?'),
  get('/a?b=c&d=//e/../%2e%2f'),
  get("/-._~!$&'()*+,;=:@[]"),
  get('/a;p=1/b;q'),
  get('/.well-known/x'),
  get('/a/..b/...'),
  get('/%41%2d%7e', '/A-~'),
  get('/a|b"c<d>^`{}', '/a%7Cb%22c%3Cd%3E%5E%60%7B%7D'),
  get('/%c3%a9/%e2%82%ac/%f0%9f%90%98'),
  get('/%20%21%3a%3F%23'),
  get(`/${'a'.repeat(4000)}`),
  get('/?q="<>|^`{}\\'),
  get('/?%zz=%'),
  get('http://a/x?y', '/x?y'),
  get('http://A.:80?y', '/?y'),
  get('/a/../b', '/b', 'BASE'),
  get('/a\\..\\b', '/b', 'BASE'),
  get('/a/%2e%2E/./b/', '/b/', 'BASE'),
  get('/a//b///c', '/a/b/c', 'MERGE_SLASHES'),
  get('//a/..//b', '/b', 'MERGE_SLASHES'),
  get('/a%2f..%5Cb%2F%2Fc', '/b/c', 'DECODE_AND_MERGE_SLASHES'),
  get('/%2e%2e%2fa', '/a', 'DECODE_AND_MERGE_SLASHES'),
  { raw: `OPTIONS * HTTP/1.1\r\n${H}\r\n`, method: 'OPTIONS', target: '*', body: '' },
  withMethod('PUT'),
  withMethod('DELETE'),
  withMethod('PATCH'),
  withMethod('PROPFIND'),
  withHost('Host: A'),
  withHost('Host: a.'),
  withHost('Host: a:80'),
  withHost('Host:a'),
  withHost('Host:   a  '),
  withHost('hOsT: a'),
  withHost('Host: a', '1.0'),
  withHost('Host: a\r\nConnection: keep-alive', '1.0'),
  { ...withHost('Host: a'), raw: `\r\n${withHost('Host: a').raw}` },
  withFields('X:'),
  withFields('X: \t'),
  withFields('X: a\tb  c'),
  withFields('X: a: b, "c;d"'),
  withFields('X: \xe9\xff\x80\xa0\x85'),
  withFields(`X: ${'y'.repeat(6000)}`),
  withFields('X: 1\r\nx: 2\r\nX: 1'),
  withFields("!#$%&'*+-.^`|~09: token"),
  withFields('Cookie: a=b; c=d'),
  withFields('Authorization: Basic YTpi'),
  withFields('Connection: x-gone, close\r\nX-Gone: 1\r\nX-Stays: 2'),
  withFields('Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close'),
  withFields('TE: trailers\r\nProxy-Authorization: secret'),
  withFields('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA'),
  withFields('X-Forwarded-Client-Cert: By=spiffe://x\r\nX-Palisade-Reason: none'),
  withFields('X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4'),
  post('Content-Length: 0', ''),
  post('Content-Length: 5', 'hello'),
  post('Content-Length: 25', 'GET /smuggled HTTP/1.1\r\n\r'),
  post('content-length:  3 ', '\0\r\n'),
  chunked('0\r\n\r\n', ''),
  chunked('5\r\nhello\r\n0\r\n\r\n', 'hello'),
  chunked('5;a=b;c\r\nhello\r\n0;d\r\n\r\n', 'hello'),
  chunked('0005\r\nhello\r\n00\r\n\r\n', 'hello'),
  chunked('A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n0\r\n\r\n'),
  chunked('1\r\na\r\n1\r\nb\r\n0\r\n\r\n', 'ab'),
  post('TRANSFER-ENCODING: CHUNKED', '2\r\nok\r\n0\r\n\r\n', 'ok'),
];
