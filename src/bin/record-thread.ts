import { parentPort, workerData } from 'node:worker_threads';
import { loadRecordThread } from '#record-store';

// The thread that owns the files of records: its writes wait for the disk and its questions read millions of records,
// and neither holds up the control plane.
const { serveRecords } = await loadRecordThread();
if (parentPort !== null) serveRecords(parentPort, workerData);
