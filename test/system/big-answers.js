// An HTTP/2 application with prior knowledge that answers everything with a megabyte.
import { createServer } from 'node:http2';

const ANSWER = Buffer.alloc(1 << 20, 'x');
// In megabytes: Node.js refuses streams once a session holds ten of them.
const server = createServer({ maxSessionMemory: 1000 });
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200 });
  stream.end(headers[':path'] === '/small' ? 'ok' : ANSWER);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
