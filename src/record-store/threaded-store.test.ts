import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { recordStoreContract } from './contract.ts';
import { openThreadedStore } from './threaded-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-records-'));
after(() => rmSync(folder, { recursive: true }));
let stores = 0;

const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 7 * 24 * 3_600_000 };

recordStoreContract('in a thread', () =>
  openThreadedStore({ folder: join(folder, `${++stores}`), bounds: BOUNDS, onLost: () => {} }),
);
