import { test } from 'node:test';
import { INTAKE_CASES } from './contract-intake.ts';
import { QUESTION_CASES } from './contract-questions.ts';
import { SUM_CASES } from './contract-sums.ts';
import type { RecordStore } from './record-store.ts';

/** How a kind of store is made for the contract; each call makes one without records. */
export type OpenStore = () => Promise<RecordStore>;

/** What every record store must hold, whatever it is made of. */
export function recordStoreContract(name: string, open: OpenStore): void {
  for (const [title, run] of [...INTAKE_CASES, ...QUESTION_CASES, ...SUM_CASES]) {
    test(`${name}: ${title}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });
  }
}
