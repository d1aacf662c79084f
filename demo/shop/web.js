// The shop's front: each visit looks at the catalog, some buy. Visits come by themselves, a few a second.
import { createServer } from 'node:http';

const VISITS_PER_SECOND = 6;

async function visit() {
  const products = await (await fetch('http://catalog/products')).json();
  const product = products[Math.floor(Math.random() * products.length)];
  await (await fetch(`http://catalog/products/${product.id}`)).json();
  if (Math.random() < 0.4) {
    const order = await fetch('http://orders/orders', {
      method: 'POST',
      body: JSON.stringify(product),
    });
    await order.text();
  }
  return product.name;
}

createServer(async (_request, response) => {
  try {
    response.end(`you looked at: ${await visit()}\n`);
  } catch (error) {
    response.statusCode = 502;
    response.end(`the shop is closed: ${error.message}\n`);
  }
}).listen(process.env.PORT, '127.0.0.1');

// A visit that fails (a policy was changed, a service restarts) is a lost customer, not the end of the shop.
setInterval(() => visit().catch(() => {}), 1000 / VISITS_PER_SECOND);
