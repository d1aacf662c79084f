import type { MessagePort } from 'node:worker_threads';
import { SEGMENT_RECORDS } from './segment.ts';
import { checkSegment } from './verify-log.ts';

/** Checks segments of the log in `folder`, each named by its first index, one after the other, for `verifyFolder`. */
export function serveChecks(port: MessagePort, folder: string): void {
  port.on('message', (first: number) => {
    const checked = checkSegment(folder, first);
    // A full segment's leaves are read again by whoever needs them: sending them would cost more.
    const leaves = checked.count === SEGMENT_RECORDS ? [] : checked.leaves;
    port.postMessage({ ...checked, leaves });
  });
}
