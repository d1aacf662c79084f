import { parentPort, workerData } from 'node:worker_threads';
import { loadRecordThread } from '#record-store';

// A thread that writes or reads the files of records: writes wait for the disk, questions read millions of records,
// and neither holds up the control plane.
const { serveRecords } = await loadRecordThread();
if (parentPort !== null) serveRecords(parentPort, workerData);
