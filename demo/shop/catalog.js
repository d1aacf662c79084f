// The catalog of the demo shop: an ordinary HTTP server that knows nothing of Palisade.
import { createServer } from 'node:http';

const products = [
  { id: 1, name: 'garden gate', price: 240 },
  { id: 2, name: 'oak palings', price: 12 },
  { id: 3, name: 'post anchor', price: 9 },
];

createServer((request, response) => {
  const id = /^\/products\/(\d+)$/.exec(request.url)?.[1];
  const found = id === undefined ? products : products.find((product) => product.id === Number(id));
  response.statusCode = found === undefined ? 404 : 200;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(found ?? { error: 'no such product' }));
}).listen(process.env.PORT, '127.0.0.1');
