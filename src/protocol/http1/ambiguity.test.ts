import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyReader } from './body.ts';
import type { Http1Error } from './messages.ts';
import { createRequestReader } from './parse-request.ts';

type Case = readonly [raw: string, expected: Http1Error];

const H = 'Host: a\r\n';
const line = (text: string): string => `${text}\r\n${H}\r\n`;
const path = (text: string): string => line(`GET ${text} HTTP/1.1`);
const field = (text: string): string => `POST / HTTP/1.1\r\n${H}${text}\r\n\r\n`;
const host = (text: string): string => `GET / HTTP/1.1\r\n${text}\r\n\r\n`;
const chunked = (text: string): string => `${field('Transfer-Encoding: chunked')}${text}`;

const UPGRADES: readonly Case[] = [
  // Not named in Connection, so the next hop would not see it.
  [field('Upgrade: websocket'), 'bad_upgrade'],
  [field('Connection: close\r\nUpgrade: websocket'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: websocket, h2c'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: h2c, websocket'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade:'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: web socket'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: TLS/1.2'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: HTTP/2.0'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: h2'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: connect-udp'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket'), 'repeated_field'],
  [field('Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5'), 'bad_upgrade'],
  [field('Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked'), 'bad_upgrade'],
  [`GET / HTTP/1.0\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`, 'bad_upgrade'],
];

const FRAMING: readonly Case[] = [
  [field('Content-Length: 1\r\nContent-Length: 1'), 'repeated_content_length'],
  [field('Content-Length: 1\r\nContent-Length: 2'), 'repeated_content_length'],
  [field('Content-Length: 0\r\ncontent-length: 5'), 'repeated_content_length'],
  [field('Content-Length: +1'), 'bad_content_length'],
  [field('Content-Length: -1'), 'bad_content_length'],
  [field('Content-Length: 1 1'), 'bad_content_length'],
  [field('Content-Length: 1,1'), 'bad_content_length'],
  [field('Content-Length: 1, 1'), 'bad_content_length'],
  [field('Content-Length:'), 'bad_content_length'],
  [field('Content-Length: 0x10'), 'bad_content_length'],
  [field('Content-Length: 1e1'), 'bad_content_length'],
  [field('Content-Length: 1.0'), 'bad_content_length'],
  [field('Content-Length: 010'), 'bad_content_length'],
  [field('Content-Length: 00'), 'bad_content_length'],
  [field('Content-Length: 1_0'), 'bad_content_length'],
  [field('Content-Length: "1"'), 'bad_content_length'],
  [field('Content-Length: 18446744073709551617'), 'bad_content_length'],
  [field('Content-Length: 9007199254740993'), 'bad_content_length'],
  [field('Content-Length: \u00b2'), 'bad_content_length'],
  [field('Content_Length: 5'), 'bad_field_name'],
  [field('Transfer_Encoding: chunked'), 'bad_field_name'],
  [
    field('Content-Length: 5\r\nTransfer-Encoding: chunked'),
    'content_length_with_transfer_encoding',
  ],
  [
    field('Transfer-Encoding: chunked\r\nContent-Length: 5'),
    'content_length_with_transfer_encoding',
  ],
  [
    field('Transfer-Encoding: chunked\r\nContent-Length: 0'),
    'content_length_with_transfer_encoding',
  ],
  [field('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), 'repeated_transfer_encoding'],
  [
    field('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'),
    'repeated_transfer_encoding',
  ],
  [field('Transfer-Encoding: identity'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: gzip, chunked'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: chunked, chunked'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: chunked, identity'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: ,chunked'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: chunked;q=1'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: "chunked"'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: xchunked'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: chunkedx'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding:'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: \u00e7hunked'), 'bad_transfer_encoding'],
  [field('Transfer-Encoding: \x0bchunked'), 'bad_field_value'],
  [field('Transfer-Encoding : chunked'), 'space_before_colon'],
  [field('Transfer-Encoding\t: chunked'), 'space_before_colon'],
  [field('Content-Length : 5'), 'space_before_colon'],
  [field('Transfer-Encoding:\r\n chunked'), 'bad_transfer_encoding'],
  [field('X: y\r\n Transfer-Encoding: chunked'), 'obs_fold'],
  [`POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, 'bad_transfer_encoding'],
  [`TRACE / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\n`, 'forbidden_body'],
  [`TRACE / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, 'forbidden_body'],
  [field('Expect: 200-ok'), 'bad_expect'],
  [field('Expect: 100-continue, 100-continue'), 'bad_expect'],
  [field('Expect: 100-continue\r\nExpect: 100-continue'), 'bad_expect'],
];

const LINES: readonly Case[] = [
  ['GET / HTTP/1.1\nHost: a\n\n', 'bare_lf'],
  [`GET / HTTP/1.1\n${H}\r\n`, 'bare_lf'],
  ['GET / HTTP/1.1\r\nHost: a\n\r\n', 'bare_lf'],
  [`GET / HTTP/1.1\r\n${H}\n`, 'bare_lf'],
  [`\n${path('/')}`, 'bare_lf'],
  [`\r\n\r\n${path('/')}`, 'bad_method'],
  [`\r${path('/')}`, 'bare_cr'],
  [` ${path('/')}`, 'bad_method'],
  [field('X: a\rb'), 'bare_cr'],
  [field('X: a\rContent-Length: 5'), 'bare_cr'],
  [field('X\r: a'), 'bare_cr'],
  [field('X: a\r\r\nY: b'), 'bare_cr'],
  [line('GET /\r HTTP/1.1'), 'bare_cr'],
  [line('GET / HTTP/1.1\r'), 'bare_cr'],
  [field(' X: a'), 'obs_fold'],
  [field('X: a\r\n b'), 'obs_fold'],
  [field('X: a\r\n\tb'), 'obs_fold'],
  [`GET / HTTP/1.1\r\n ${H}\r\n`, 'obs_fold'],
  [field(': a'), 'empty_field_name'],
  [field('X'), 'field_without_colon'],
  [field('X y: a'), 'bad_field_name'],
  [field('X\x00: a'), 'bad_field_name'],
  [field('X\x7f: a'), 'bad_field_name'],
  [field('X(y): a'), 'bad_field_name'],
  [field('"X": a'), 'bad_field_name'],
  [field('X/y: a'), 'bad_field_name'],
  [field('\u00e9: a'), 'bad_field_name'],
  [field('X@y: a'), 'bad_field_name'],
  [field('X: a\x00b'), 'bad_field_value'],
  [field('X: a\x01b'), 'bad_field_value'],
  [field('X: a\x1bb'), 'bad_field_value'],
  [field('X: a\x7fb'), 'bad_field_value'],
  [field('X: a\x0bb'), 'bad_field_value'],
  [field('Authorization: a\r\nAuthorization: b'), 'repeated_field'],
  [field(Array.from({ length: 128 }, (_, i) => `X${i}: y`).join('\r\n')), 'too_many_fields'],
  [field(`X: ${'y'.repeat(65_536)}`), 'head_too_large'],
  [path(`/${'y'.repeat(16_400)}`), 'target_too_long'],
  [`GET /${'y'.repeat(20_000)}`, 'target_too_long'],
];

const REQUEST_LINES: readonly Case[] = [
  [line('GET /'), 'bad_version'],
  ['GET /\r\n\r\n', 'bad_version'],
  [line('GET'), 'bad_method'],
  [line('GET / HTTP/0.9'), 'bad_version'],
  [line('GET / HTTP/1.2'), 'bad_version'],
  [line('GET / HTTP/2.0'), 'bad_version'],
  [line('GET / HTTP/1.10'), 'bad_version'],
  [line('GET / HTTP/01.1'), 'bad_version'],
  [line('GET / HTTP/1'), 'bad_version'],
  [line('GET / http/1.1'), 'bad_target'],
  [line('GET / HTTP/1.1 '), 'bad_version'],
  [line('GET / HTTP/1.1\t'), 'bad_version'],
  [line('GET / HTTPS/1.1'), 'bad_target'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'bad_version'],
  [line('GET  / HTTP/1.1'), 'bad_request_line'],
  [line('GET /  HTTP/1.1'), 'bad_target'],
  [line('GET\t/ HTTP/1.1'), 'bad_method'],
  [line('GET /\tHTTP/1.1'), 'bad_target'],
  [line('GET / a HTTP/1.1'), 'bad_target'],
  [line('GET /a\x00 HTTP/1.1'), 'bad_target'],
  [line('GET /a\x01b HTTP/1.1'), 'bad_target'],
  [line('GET /a\x7f HTTP/1.1'), 'bad_target'],
  [line('GET /\u00e9 HTTP/1.1'), 'bad_target'],
  [line('GET /a#b HTTP/1.1'), 'bad_target'],
  [line('GET /?a#b HTTP/1.1'), 'bad_target'],
  [line('GET a HTTP/1.1'), 'bad_target'],
  [line('GET ?a HTTP/1.1'), 'bad_target'],
  [line('GET * HTTP/1.1'), 'bad_target'],
  [line('OPTIONS *a HTTP/1.1'), 'bad_target'],
  [line('get / HTTP/1.1'), 'bad_method'],
  [line('Get / HTTP/1.1'), 'bad_method'],
  [line('G@T / HTTP/1.1'), 'bad_method'],
  [line('G\x00T / HTTP/1.1'), 'bad_method'],
  [line(`${'A'.repeat(40)} / HTTP/1.1`), 'bad_method'],
  [line('CONNECT a:80 HTTP/1.1'), 'connect_refused'],
  [line('GET https://a/ HTTP/1.1'), 'bad_target'],
  [line('GET ftp://a/ HTTP/1.1'), 'bad_target'],
  [line('GET http:/a HTTP/1.1'), 'bad_target'],
  [line('GET http:///a HTTP/1.1'), 'bad_target'],
  [line('GET http://u@a/ HTTP/1.1'), 'bad_target'],
  [line('GET http://u:p@a/ HTTP/1.1'), 'bad_target'],
  [line('GET http://a\\b/ HTTP/1.1'), 'bad_target'],
  [line('GET http://b/ HTTP/1.1'), 'host_mismatch'],
  [line('GET http://a:81/ HTTP/1.1'), 'host_mismatch'],
  [line('GET http://a.b/ HTTP/1.1'), 'host_mismatch'],
];

const PATHS: readonly Case[] = [
  [path('/a/../b'), 'bad_path'],
  [path('/..'), 'bad_path'],
  [path('/.'), 'bad_path'],
  [path('/a/./b'), 'bad_path'],
  [path('/a/.'), 'bad_path'],
  [path('/a/..?q'), 'bad_path'],
  [path('/%2e%2e/b'), 'bad_path'],
  [path('/%2E/b'), 'bad_path'],
  [path('/.%2e/b'), 'bad_path'],
  [path('/a/%2e%2E'), 'bad_path'],
  [path('/a/..;/b'), 'bad_path'],
  [path('/a/..;x=1/b'), 'bad_path'],
  [path('/a/..%3bx/b'), 'bad_path'],
  [path('/a/.;/b'), 'bad_path'],
  [path('//a'), 'bad_path'],
  [path('/a//b'), 'bad_path'],
  [path('/a//'), 'bad_path'],
  [path('/a%2fb'), 'bad_path'],
  [path('/a%2Fb'), 'bad_path'],
  [path('/a\\b'), 'bad_path'],
  [path('/a%5cb'), 'bad_path'],
  [path('/a%5Cb'), 'bad_path'],
  [path('/a%00b'), 'bad_path'],
  [path('/a%0d%0ab'), 'bad_path'],
  [path('/a%09b'), 'bad_path'],
  [path('/a%7fb'), 'bad_path'],
  [path('/a%'), 'bad_percent_encoding'],
  [path('/a%2'), 'bad_percent_encoding'],
  [path('/a%zz'), 'bad_percent_encoding'],
  [path('/a%2g'), 'bad_percent_encoding'],
  [path('/a%u002f'), 'bad_percent_encoding'],
  [path('/%c0%af'), 'bad_percent_encoding'],
  [path('/%c0%ae%c0%ae'), 'bad_percent_encoding'],
  [path('/%c1%9c'), 'bad_percent_encoding'],
  [path('/%e0%80%af'), 'bad_percent_encoding'],
  [path('/%f0%80%80%af'), 'bad_percent_encoding'],
  [path('/%ed%a0%80'), 'bad_percent_encoding'],
  [path('/%f4%90%80%80'), 'bad_percent_encoding'],
  [path('/%f8%88%80%80%80'), 'bad_percent_encoding'],
  [path('/%80'), 'bad_percent_encoding'],
  [path('/%c3'), 'bad_percent_encoding'],
  [path('/%c3/a'), 'bad_percent_encoding'],
  [path('/%c3%28'), 'bad_percent_encoding'],
  [path('/%ff'), 'bad_percent_encoding'],
  [path('http://a//b'), 'bad_path'],
  [path('http://a/../b'), 'bad_path'],
];

const HOSTS: readonly Case[] = [
  [host('X: y'), 'missing_host'],
  ['GET / HTTP/1.0\r\n\r\n', 'missing_host'],
  [host('Host: a\r\nHost: a'), 'repeated_host'],
  [host('Host: a\r\nX: y\r\nhost: b'), 'repeated_host'],
  [host('Host:'), 'bad_host'],
  [host('Host: a b'), 'bad_host'],
  [host('Host: a, b'), 'bad_host'],
  [host('Host: a/b'), 'bad_host'],
  [host('Host: a\\b'), 'bad_host'],
  [host('Host: u@a'), 'bad_host'],
  [host('Host: http://a'), 'bad_host'],
  [host('Host: a#b'), 'bad_host'],
  [host('Host: a?b'), 'bad_host'],
  [host('Host: a%2eb'), 'bad_host'],
  [host('Host: a:'), 'bad_host'],
  [host('Host: a:b'), 'bad_host'],
  [host('Host: a:0'), 'bad_host'],
  [host('Host: a:65536'), 'bad_host'],
  [host('Host: a:80:80'), 'bad_host'],
  [host('Host: a:+80'), 'bad_host'],
  [host('Host: :80'), 'bad_host'],
  [host('Host: a..b'), 'bad_host'],
  [host('Host: .a'), 'bad_host'],
  [host('Host: .'), 'bad_host'],
  [host('Host: [::1'), 'bad_host'],
  [host('Host: [::g]'), 'bad_host'],
  [host('Host: [1.2.3.4]'), 'bad_host'],
  [host('Host: ::1'), 'bad_host'],
  [host('Host: a\tb'), 'bad_host'],
  [host('Host: \u00e9'), 'bad_host'],
  [host('Host: a;b'), 'bad_host'],
  [host('Host: <a>'), 'bad_host'],
  [host('Host : a'), 'space_before_colon'],
];

const CONNECTION: readonly Case[] = [
  [field('Connection: host'), 'forbidden_connection_option'],
  [field('Connection: close, Content-Length\r\nContent-Length: 1'), 'forbidden_connection_option'],
  [field('Connection: transfer-encoding'), 'forbidden_connection_option'],
  [field('Connection: authorization'), 'forbidden_connection_option'],
  [field('Connection: keep-alive\r\nConnection: cookie'), 'forbidden_connection_option'],
  [field('Connection: x-forwarded-for'), 'forbidden_connection_option'],
  [field('Connection: x-forwarded-client-cert'), 'forbidden_connection_option'],
  [field('Connection: x-palisade-reason'), 'forbidden_connection_option'],
  [field('Connection: close, keep-alive'), 'bad_connection'],
  [field('Connection: a b'), 'bad_connection'],
  [field('Connection: "close"'), 'bad_connection'],
  [
    field(`Connection: ${Array.from({ length: 20 }, (_, i) => `x${i}`).join(',')}`),
    'bad_connection',
  ],
];

const CHUNKS: readonly Case[] = [
  [chunked('5\nhello\r\n0\r\n\r\n'), 'bare_lf'],
  [chunked('5\r\nhello\n0\r\n\r\n'), 'bare_lf'],
  [chunked('5\r\nhello\r\n0\n\r\n'), 'bare_lf'],
  [chunked('5\r\nhello\r\n0\r\n\n'), 'bare_lf'],
  [chunked('5\rXhello'), 'bare_cr'],
  [chunked('5\r\nhelloX\r\n0\r\n\r\n'), 'bad_chunk_data'],
  [chunked('5\r\nhello\rX0\r\n\r\n'), 'bad_chunk_data'],
  [chunked('4\r\nhello\r\n0\r\n\r\n'), 'bad_chunk_data'],
  [chunked('+5\r\nhello\r\n0\r\n\r\n'), 'bad_chunk_size'],
  [chunked('-1\r\n'), 'bad_chunk_size'],
  [chunked('0x5\r\nhello'), 'bad_chunk_size'],
  [chunked(' 5\r\nhello'), 'bad_chunk_size'],
  [chunked('5 \r\nhello'), 'bad_chunk_size'],
  [chunked('5\t;a\r\nhello'), 'bad_chunk_size'],
  [chunked('g\r\n'), 'bad_chunk_size'],
  [chunked('\r\n'), 'bad_chunk_size'],
  [chunked('\n'), 'bare_lf'],
  [chunked(';a\r\n'), 'bad_chunk_size'],
  [chunked('1_0\r\n'), 'bad_chunk_size'],
  [chunked('ffffffffffffffff\r\n'), 'bad_chunk_size'],
  [chunked('10000000000000005\r\nhello'), 'bad_chunk_size'],
  [chunked(`${'0'.repeat(20)}5\r\nhello`), 'bad_chunk_size'],
  [chunked('5;\r\nhello'), 'bad_chunk_extension'],
  [chunked('5;a=\r\nhello'), 'bad_chunk_extension'],
  [chunked('5;a\nhello'), 'bare_lf'],
  [chunked('5;a b\r\nhello'), 'bad_chunk_extension'],
  [chunked('5;a="b"\r\nhello'), 'bad_chunk_extension'],
  [chunked('5;a\rX\nhello'), 'bare_cr'],
  [chunked('5;\x00\r\nhello'), 'bad_chunk_extension'],
  [chunked(`5;${'a'.repeat(300)}\r\nhello`), 'bad_chunk_extension'],
  [chunked('0\r\nContent-Length: 5\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nHost: b\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nAuthorization: b\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nCookie: b\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nSet-Cookie: b\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nConnection: close\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nTE: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nTrailer: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nContent-Type: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nX-Forwarded-For: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nX-Forwarded-Client-Cert: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nx_forwarded_for: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nX-Palisade-Reason: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nIf-Match: a\r\n\r\n'), 'forbidden_trailer'],
  [chunked('0\r\nX: a\r\n b\r\n\r\n'), 'obs_fold'],
  [chunked('0\r\nX : a\r\n\r\n'), 'space_before_colon'],
  [chunked('0\r\nGET /x HTTP/1.1\r\n\r\n'), 'bad_field_name'],
  [chunked('0\r\nX: a\x00\r\n\r\n'), 'bad_field_value'],
  [chunked(`0\r\nX: ${'a'.repeat(9000)}\r\n\r\n`), 'trailers_too_large'],
  [chunked(`0\r\n${'X: a\r\n'.repeat(40)}\r\n`), 'trailers_too_large'],
];

const CORPUS = [UPGRADES, FRAMING, LINES, REQUEST_LINES, PATHS, HOSTS, CONNECTION, CHUNKS].flat();

test('the corpus is as large as it claims', () => {
  assert.ok(CORPUS.length >= 240, `${CORPUS.length} cases`);
});

for (const [raw, expected] of CORPUS) {
  test(`refused as ${expected}: ${JSON.stringify(raw).slice(0, 90)}`, () => {
    const bytes = Buffer.from(raw, 'latin1');
    assert.equal(refusal(bytes, bytes.length), expected);
    // The same bytes cut anywhere are refused for the same reason.
    for (const size of [1, 2, 3, 7, 64, 1000]) assert.equal(refusal(bytes, size), expected);
  });
}

function refusal(bytes: Buffer, size: number): Http1Error | 'accepted' | 'more' {
  const reader = createRequestReader();
  const body = new BodyReader();
  let inBody = false;
  for (let from = 0; from < bytes.length; from += size) {
    const chunk = bytes.subarray(from, from + size);
    let at = 0;
    if (!inBody) {
      const head = reader.read(chunk, 0);
      if (head.kind === 'refuse') return head.error;
      if (head.kind === 'more') continue;
      inBody = true;
      body.start(head.framing);
      at = head.consumed;
    }
    body.read(chunk, at);
    if (body.error !== undefined) return body.error;
  }
  return inBody && body.complete ? 'accepted' : 'more';
}
