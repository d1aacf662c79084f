import { parentPort, workerData } from 'node:worker_threads';
import { loadVerifyThread } from '#audit';

// A thread of `palisade audit verify`: long logs are read by several.
const { serveChecks } = await loadVerifyThread();
if (parentPort !== null)
  serveChecks(parentPort, (workerData as { readonly folder: string }).folder);
