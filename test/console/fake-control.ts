import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';

/** A control plane that only answers the console: its files, recorded answers, and events on command. */
export type FakeControl = {
  readonly url: string;
  /** Sends an event to every open stream of `/api/v1/events`. */
  readonly announce: (event: string, data: unknown) => void;
  /** Sends a record to every live tail. */
  readonly sendRecord: (record: unknown) => void;
  /** Answers a path of the API with this instead of the recording. */
  readonly answer: (path: string, status: number, body: unknown) => void;
  /** Takes the answers given with `answer` back. */
  readonly reset: () => void;
  /** Reads a recording with its times moved to now. */
  readonly recording: (name: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
};

/** When the recordings were made; their times are moved so that this is now. */
const RECORDED_AT = Date.parse('2026-03-02T10:00:00.000Z');
const DIST = join(import.meta.dirname, '../../console/dist');
const TESTDATA = join(import.meta.dirname, 'testdata');
const ISO_TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
const MEDIA: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

type Streams = { readonly events: Set<ServerResponse>; readonly records: Set<ServerResponse> };
type Answers = Map<string, { status: number; body: unknown }>;

/** Starts the fake on a free port of loopback. */
export async function startFakeControl(): Promise<FakeControl> {
  const streams: Streams = { events: new Set(), records: new Set() };
  const answers: Answers = new Map();
  const server = createServer((request, response) => {
    serve({ request, response, streams, answers }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    announce: (event, data) => send(streams.events, event, data),
    sendRecord: (record) => send(streams.records, 'record', record),
    answer: (path, status, body) => answers.set(path, { status, body }),
    reset: () => answers.clear(),
    recording: async (name) => JSON.parse(await recordedText(name)),
    close: () => stop(server),
  };
}

async function serve(call: {
  request: IncomingMessage;
  response: ServerResponse;
  streams: Streams;
  answers: Answers;
}): Promise<void> {
  const { request, response, streams, answers } = call;
  const path = new URL(request.url ?? '/', 'http://fake').pathname;
  // The console must work under the policy that the real control plane sends.
  response.setHeader('content-security-policy', "default-src 'self'");
  if (!path.startsWith('/api/v1/')) return serveFile(path, response);
  const given = answers.get(path.slice('/api/v1'.length));
  if (given !== undefined) return reply(response, given.status, JSON.stringify(given.body));
  if (path === '/api/v1/events') return openStream(response, streams.events);
  if (path === '/api/v1/records/watch') return openStream(response, streams.records);
  const text = await recordedText(recordingOf(path, request.url));
  return reply(response, 200, path === '/api/v1/records' ? filterRecords(text, request.url) : text);
}

/** Obeys `denied`, `from` and `to` as the real one does. */
function filterRecords(text: string, url: string | undefined): string {
  const query = new URL(url ?? '/', 'http://fake').searchParams;
  const page = JSON.parse(text) as { items: Record<string, string | null>[]; next: string | null };
  const { denied, from, to } = Object.fromEntries(query);
  const items = page.items.filter((record) => {
    const callee = record['destination.service'];
    const callees = [callee, `${record['destination.namespace']}/${callee}`];
    return (
      (denied !== 'true' || record['verdict'] === 'deny') &&
      (from === undefined || [record['source.id'], record['source.service']].includes(from)) &&
      (to === undefined || callees.includes(to))
    );
  });
  return JSON.stringify({ items, next: query.has('cursor') ? null : page.next });
}

function recordingOf(path: string, url: string | undefined): string {
  const name = path.slice('/api/v1/'.length);
  // A denial, and any call, explained: the same but for the record.
  if (/^denials\/|^records\/.+\/explanation$/.test(name)) return 'denial';
  if (name.startsWith('traces/')) return 'trace';
  if (/^sinks\/[^/]+\/test$/.test(name)) return 'sink-test';
  if (name === 'revocations/preview') return 'revocation-preview';
  if (name === 'audit/verification') return 'audit-verification';
  if (name === 'rollups') {
    return `rollups-${new URL(url ?? '/', 'http://fake').searchParams.get('group')}`;
  }
  if (/^policy-sets\/[^/]+\/changed-calls$/.test(name)) return 'changed-calls';
  if (/^policy-sets\/[^/]+\/findings$/.test(name)) return 'findings';
  if (/^policy-sets\/[^/]+\/commits$/.test(name)) return 'commits';
  if (/^policy-sets\/[^/]+$/.test(name)) {
    const number = Number(new URL(url ?? '/', 'http://fake').searchParams.get('number'));
    return `policy-set-${number < 7 ? 6 : 7}`;
  }
  return name;
}

async function recordedText(name: string): Promise<string> {
  const text = await readFile(join(TESTDATA, `${name}.json`), 'utf8');
  const shiftMs = Date.now() - RECORDED_AT;
  return text.replace(ISO_TIME, (time) => new Date(Date.parse(time) + shiftMs).toISOString());
}

/** Files of the build; every other path is a route of the console. */
async function serveFile(path: string, response: ServerResponse): Promise<void> {
  const name = path.startsWith('/assets/') && !path.includes('..') ? path : '/index.html';
  const body = await readFile(join(DIST, name));
  response.writeHead(200, { 'content-type': MEDIA[extname(name)] ?? 'application/octet-stream' });
  response.end(body);
}

function openStream(response: ServerResponse, streams: Set<ServerResponse>): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(`event: hello\ndata: {"at":"${new Date().toISOString()}"}\n\n`);
  streams.add(response);
  response.on('close', () => streams.delete(response));
}

function send(streams: ReadonlySet<ServerResponse>, event: string, data: unknown): void {
  for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function reply(response: ServerResponse, status: number, body: string): void {
  const media = status >= 400 ? 'application/problem+json' : 'application/json';
  response.writeHead(status, { 'content-type': media });
  response.end(body);
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
