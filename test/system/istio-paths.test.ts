// Our `pathNormalization` beside what Envoy makes of the same paths with the settings that Istio gives it by those names.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { canonicalPath, type PathNormalization } from '#lib';
import { talk } from '../../src/proxy/fake-pair.ts';
import { freePort, type Running, start } from './mesh.ts';
import { until } from './until.ts';

const BINARY = process.env['ENVOY_BIN'];
const skip =
  BINARY !== undefined && existsSync(BINARY) ? false : 'no Envoy: set ENVOY_BIN to its binary';

// Istio, pilot/pkg/networking: what each mode sets on the connection manager.
const SETTINGS = {
  NONE: {},
  BASE: { normalize_path: true },
  MERGE_SLASHES: { normalize_path: true, merge_slashes: true },
  DECODE_AND_MERGE_SLASHES: {
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
  },
} as const;
type Mode = keyof typeof SETTINGS;
const MODES = Object.keys(SETTINGS) as Mode[];

const PATHS: readonly string[] = [
  '/',
  '/a',
  '/a/',
  '/a/b.c',
  '/a;p=1',
  "/-._~!$&'()*+,;=:@",
  '/%41%2d%7e',
  '/%c3%a9',
  '/a/../b',
  '/a/..',
  '/a/.',
  '/./a',
  '/../a',
  '/a/b/../../c',
  '/a/%2e%2E/b',
  '/a/.%2e/b',
  '/a//b',
  '//a',
  '/a//',
  '/a//../b',
  '/a/..//b',
  '/a///../../b',
  '//../a',
  '/a\\b',
  '/a\\..\\b',
  '/\\a',
  '/a%5Cb',
  '/a%5c..%5cb',
  '/a%2Fb',
  '/a%2f..%2fb',
  '/%2f%2Fa',
  '/a%252e%252e/b',
  '/a|b',
  '/a"b',
  '/a<b>',
  '/a^b',
  '/a{b}',
  '/%20a',
  '/a%3Fb',
  '/a%23b',
];

describe('paths as Istio’s Envoy makes them', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-paths-'));
  const ports = new Map<Mode, number>();
  let envoy: Running | undefined;

  before(async () => {
    for (const mode of MODES) ports.set(mode, await freePort());
    const file = join(folder, 'envoy.json');
    const listeners = MODES.map((mode) => listener(mode, ports.get(mode) ?? 0));
    writeFileSync(file, JSON.stringify({ static_resources: { listeners } }));
    envoy = start([BINARY ?? '', '-c', file, '--use-dynamic-base-id', '-l', 'error']);
    await until('Envoy', async () => {
      const path = await pathAt('NONE', '/ready').catch(() => undefined);
      return path === '/ready';
    });
  });
  after(async () => {
    await envoy?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The path that Envoy would forward; undefined where it refuses. */
  async function pathAt(mode: Mode, path: string): Promise<string | undefined> {
    const socket = connect(ports.get(mode) ?? 0, '127.0.0.1');
    const raw = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const answer = await talk(socket, raw, (text) => text.includes('\r\n\r\n'));
    socket.destroy();
    return /\r\nx-path: (\S*)\r\n/.exec(answer)?.[1];
  }

  for (const mode of MODES) {
    test(`${mode}: what is not refused here is the same there`, async () => {
      let compared = 0;
      for (const path of PATHS) {
        const ours = canonicalPath(path, mode satisfies PathNormalization);
        if (!ours.ok) continue;
        const theirs = await pathAt(mode, path);
        // What Envoy refuses in a request line it does not say anything of.
        if (theirs === undefined) continue;
        assert.equal(ours.value, theirs, path);
        compared++;
      }
      assert.ok(compared >= PATHS.length - 8, `${compared} of ${PATHS.length} paths compared`);
    });
  }
});

function listener(mode: Mode, port: number): unknown {
  const echoed = [{ header: { key: 'x-path', value: '%REQ(:PATH)%' } }];
  const route = {
    match: { prefix: '' },
    direct_response: { status: 200 },
    response_headers_to_add: echoed,
  };
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: mode,
    ...SETTINGS[mode],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
        },
      },
    ],
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  return {
    name: mode,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [filter] }],
  };
}
