// Appends to an audit log as fast as it can and prints what was acknowledged, until it is killed.
import { openAuditLog } from '#audit';

const [folder = '', from = '0'] = process.argv.slice(2);
const log = openAuditLog({
  folder,
  clock: Date.now,
  onError(error) {
    throw error;
  },
});

const WRITERS = 32;
let next = Number(from);

async function write(): Promise<never> {
  for (;;) {
    const name = String(next++);
    await log.append({
      action: 'policy.commit',
      'actor.id': 'ann',
      'target.name': name,
      diff: 'd'.repeat(200),
      result: 'ok',
    });
    process.stdout.write(`${name}\n`);
  }
}

process.stdout.write('open\n');
await Promise.all(Array.from({ length: WRITERS }, write));
