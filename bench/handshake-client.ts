// Makes connections to an inbound side, one handshake each: `node handshake-client.ts PORT GROUP COUNT PEM-FILE`.
import { readFileSync } from 'node:fs';
import { connect, createSecureContext } from 'node:tls';

const [port = '0', group = 'X25519', count = '0', file = ''] = process.argv.slice(2);
const pem = readFileSync(file);
const secureContext = createSecureContext({ key: pem, cert: pem, ecdhCurve: group });
let left = Number(count);

async function shake(): Promise<void> {
  while (left-- > 0) {
    await new Promise<void>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: Number(port), rejectUnauthorized: false };
      const socket = connect({ ...options, secureContext }, () => socket.end());
      socket.resume();
      socket.on('close', () => resolve());
      socket.on('error', reject);
    });
  }
}

await Promise.all(Array.from({ length: 4 }, shake));
