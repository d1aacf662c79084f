// An echo server and a client of the `ws` library: `ws-peer.js serve PORT` and `ws-peer.js talk URL`. The client prints one
// line `echoed …`, then with `--stay` remains connected and prints `closed CODE` when it is cut.
import { WebSocket, WebSocketServer } from 'ws';

const [mode, target, flag] = process.argv.slice(2);
if (mode === 'serve') serve(Number(target));
else talk(target ?? '');

function serve(port) {
  const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: true });
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('error', () => {
      // A peer that is cut off; its connection is closed.
    });
  });
}

function talk(url) {
  const socket = new WebSocket(url, ['chat'], { perMessageDeflate: true });
  const big = Buffer.alloc(1_000_000, 'palisade');
  const seen = [];
  socket.on('open', () => {
    socket.send('hello');
    socket.send(big);
    socket.ping('p');
  });
  socket.on('pong', (data) => note(`pong ${data}`));
  socket.on('message', (data, isBinary) =>
    note(isBinary ? `binary ${data.equals(big)}` : `text ${data}`),
  );
  socket.on('error', (error) => console.log(`error ${error.message}`));
  socket.on('close', (code) => console.log(`closed ${code}`));

  function note(what) {
    seen.push(what);
    if (seen.length < 3) return;
    console.log(`echoed ${seen.sort().join(', ')}`);
    if (flag !== '--stay') socket.close(4001, 'enough');
  }
}
