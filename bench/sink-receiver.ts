// A receiver of OTLP/HTTP for `sink.ts`, in a process of its own: refuses until told otherwise, then looks at the ids of
// what it gets. It reads them out of the bytes, so that what is measured is the sender.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** What it found: ids that came twice, and ids that came after a later one of the same source. */
export type Findings = {
  readonly received: number;
  readonly twice: number;
  readonly disordered: number;
};

const UID = Buffer.from('log.record.uid', 'latin1');
const newest = new Map<string, number>();
const findings = { received: 0, twice: 0, disordered: 0 };
const seen = new Set<string>();
let isUp = false;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (isUp) look(Buffer.concat(chunks), request.headers['content-encoding'] === 'gzip');
    response.writeHead(isUp ? 200 : 503).end();
  });
});

server.listen(0, '127.0.0.1', () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
);
process.on('message', (message) => {
  if (message === 'up') isUp = true;
  if (message === 'findings') process.send?.(findings);
});
process.on('disconnect', () => process.exit());

function look(body: Buffer, isGzip: boolean): void {
  const bytes = isGzip ? gunzipSync(body) : body;
  for (let at = bytes.indexOf(UID); at >= 0; at = bytes.indexOf(UID, at + 1)) {
    // KeyValue.value (field 2), AnyValue.string_value (field 1), each with its length.
    const start = at + UID.length + 4;
    note(bytes.toString('latin1', start, start + bytes.readUInt8(start - 1)));
  }
}

function note(id: string): void {
  findings.received++;
  if (seen.has(id)) findings.twice++;
  seen.add(id);
  const dash = id.indexOf('-');
  const source = id.slice(0, dash);
  const seq = Number(id.slice(dash + 1));
  if (seq <= (newest.get(source) ?? -1)) findings.disordered++;
  newest.set(source, seq);
}
