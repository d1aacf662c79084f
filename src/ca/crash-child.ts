// Started by crash.test.ts: an authority in a process of its own, to be killed in the middle of its work.
import { createSilentLog } from '#telemetry';
import { createCa } from './index.ts';

const [folder = '', trustRootFile = '', trustDomain = ''] = process.argv.slice(2);
const ca = await createCa({
  folder,
  trustRootFile,
  trustDomain,
  listen: { host: '127.0.0.1', port: 0 },
  clock: Date.now,
  log: createSilentLog(),
  rateLimit: { burst: 1e9, perSecond: 1e9 },
  identityRateLimit: { burst: 1e9, perSecond: 1e9 },
  tokenRateLimit: { burst: 1e9, perSecond: 1e9 },
});
process.stdout.write(`${ca.port}\n`);
