// Orders of the demo shop: takes an order and has it paid.
import { createServer } from 'node:http';

const orders = [];

createServer(async (request, response) => {
  response.setHeader('content-type', 'application/json');
  if (request.method !== 'POST') {
    response.end(JSON.stringify({ orders: orders.length }));
    return;
  }
  try {
    // A trace goes on through a program only where the program hands it on (W3C Trace Context).
    const { traceparent } = request.headers;
    const payment = await fetch('http://payments/charge', {
      method: 'POST',
      headers: traceparent === undefined ? {} : { traceparent },
      body: JSON.stringify({ amount: 12 }),
    });
    if (!payment.ok) throw new Error(`payments answered ${payment.status}`);
    orders.push(await payment.json());
    if (orders.length > 1000) orders.shift();
    response.statusCode = 201;
    response.end(JSON.stringify({ order: orders.length }));
  } catch (error) {
    response.statusCode = 502;
    response.end(JSON.stringify({ error: error.message }));
  }
}).listen(process.env.PORT, '127.0.0.1');
