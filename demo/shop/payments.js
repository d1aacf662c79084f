// Payments of the demo shop: an ordinary HTTP server that knows nothing of Palisade.
import { createServer } from 'node:http';

let charged = 0;

createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    charged += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ charge: charged }));
  });
}).listen(process.env.PORT, '127.0.0.1');
