// A thread that checks segments of a log, one after the other, for `verifyFolder`.
import { parentPort, workerData } from 'node:worker_threads';
import { SEGMENT_RECORDS } from './segment.ts';
import { checkSegment } from './verify-log.ts';

const { folder } = workerData as { readonly folder: string };

parentPort?.on('message', (first: number) => {
  const checked = checkSegment(folder, first);
  // A full segment's leaves are read again by whoever needs them: sending them would cost more.
  const leaves = checked.count === SEGMENT_RECORDS ? [] : checked.leaves;
  parentPort?.postMessage({ ...checked, leaves });
});
