import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '#client';
import type { AccessRecord } from '../../api-types.ts';
import { followRecords, newestCursor } from './follow-records.ts';

const recordOf = (id: number): AccessRecord =>
  ({ 'record.id': String(id), path: `/${id}` }) as unknown as AccessRecord;

/**
 * A control plane with records of the ids `from` to `to`, in pages of two. Each watching sends, of what comes after the id
 * it resumes after, what `streams` says, and breaks off; the last one refuses.
 */
function createFakeRecords(streams: readonly (readonly number[] | Error)[]) {
  let stored: number[] = [1, 2, 3];
  const resumed: string[] = [];
  const api = {
    call: (_method: string, path: string): Promise<never> => {
      const query = new URLSearchParams(path.split('?')[1]);
      if (query.get('order') === 'desc') {
        return Promise.resolve({ items: stored.slice(-1).map(recordOf), next: null } as never);
      }
      const later = stored.filter((id) => id > Number(query.get('cursor')));
      const next = later.length > 2 ? String(later[1]) : null;
      return Promise.resolve({ items: later.slice(0, 2).map(recordOf), next } as never);
    },
    watch: (
      _path: string,
      onEvent: (event: string, data: unknown, id: string | undefined) => void,
      last?: string,
    ): Promise<void> => {
      const sent = streams[resumed.length];
      resumed.push(last ?? 'from nowhere');
      if (sent === undefined) return Promise.reject(new ApiError(403, 'forbidden', 'no rights'));
      if (sent instanceof Error) return Promise.reject(sent);
      for (const id of sent) onEvent('record', recordOf(id), String(id));
      stored.push(...sent.filter((id) => !stored.includes(id)));
      return Promise.resolve();
    },
  };
  return { api, resumed, arrive: (...ids: number[]) => (stored = [...stored, ...ids]) };
}

async function followed(
  { api }: ReturnType<typeof createFakeRecords>,
  more: { cursor?: string; shown?: readonly number[]; pause?: () => void } = {},
) {
  const seen: unknown[] = [];
  const lost: string[] = [];
  await assert.rejects(
    followRecords({
      api: () => api,
      query: new URLSearchParams(),
      cursor: more.cursor ?? (await newestCursor(api)),
      shown: new Set((more.shown ?? []).map(String)),
      onRecord: (record) => seen.push(Number(record['record.id'])),
      onLost: (reason) => lost.push(reason),
      pause: async () => more.pause?.(),
    }),
    /no rights/,
  );
  return { seen, lost };
}

test('what arrived while the first answer was read is shown, and what was shown is not', async () => {
  const fake = createFakeRecords([[7]]);
  const cursor = await newestCursor(fake.api);
  fake.arrive(4, 5, 6);
  const { seen } = await followed(fake, { cursor, shown: [3, 4] });
  assert.deepEqual(seen, [5, 6, 7]);
  assert.equal(fake.resumed[0], '6');
});

test('a control plane that goes is said once, and what came meanwhile is shown', async () => {
  const fake = createFakeRecords([[4], new Error('it is away'), new Error('still away'), [9]]);
  let pauses = 0;
  const pause = (): void => {
    pauses += 1;
    if (pauses === 3) fake.arrive(5, 6, 7, 8);
  };
  const { seen, lost } = await followed(fake, { pause });
  assert.deepEqual(seen, [4, 5, 6, 7, 8, 9]);
  assert.deepEqual(fake.resumed, ['3', '4', '4', '8', '9']);
  assert.equal(lost[0], 'it ended the stream');
});

test('an empty store is followed from its beginning', async () => {
  const none = { call: () => Promise.resolve({ items: [], next: null } as never) };
  assert.equal(await newestCursor(none), '0');
});
