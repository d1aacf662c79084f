import { Readable, Writable } from 'node:stream';
import type { CliContext, Processes } from './context.ts';

/** A context whose output is kept as text; for tests. */
export function createFakeContext(
  options: { readonly stdin?: string; readonly env?: NodeJS.ProcessEnv } = {},
): CliContext & {
  readonly printed: () => string;
  readonly complained: () => string;
} {
  const out = collector();
  const err = collector();
  const unused = () => Promise.reject(new Error('no process is started in this test'));
  const processes: Processes = {
    up: unused,
    control: unused,
    ca: unused,
    authority: unused,
    agent: unused,
    bundleEndpoint: unused,
    proxy: unused,
    run: unused,
  };
  return {
    stdout: out.stream,
    stderr: err.stream,
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    env: options.env ?? {},
    processes,
    printed: out.text,
    complained: err.text,
  };
}

function collector(): { stream: Writable; text: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString('utf8');
      done();
    },
  });
  return { stream, text: () => text };
}
