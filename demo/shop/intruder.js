// A program that got into the mesh under a name of its own and keeps trying what it may not.
const ATTEMPTS = [
  ['POST', 'http://payments/charge'],
  ['GET', 'http://orders/orders'],
  ['DELETE', 'http://catalog/products/1'],
  ['GET', 'http://payments.default.svc.cluster.local/admin'],
];

let next = 0;
setInterval(async () => {
  const [method, url] = ATTEMPTS[next++ % ATTEMPTS.length];
  try {
    const answer = await fetch(url, { method });
    await answer.text();
  } catch {
    // Whatever stops it, it tries the next one.
  }
}, 700);
