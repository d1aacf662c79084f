import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '#client';
import { type EnforcementPoint, fetchAll } from '../../api-types.ts';

const POLL_MS = 100;

/**
 * The enforcement points, as soon as all enforce the newest by their own word, or as they are at `deadline` (ms since 1970;
 * one that has passed: as they are now).
 */
export async function awaitCurrent(
  api: Pick<ApiClient, 'call'>,
  deadline: number,
): Promise<readonly EnforcementPoint[]> {
  for (;;) {
    const points = await fetchAll<EnforcementPoint>(api, '/enforcement-points');
    if (points.every((point) => isCurrent(point)) || Date.now() >= deadline) return points;
    await delay(POLL_MS);
  }
}

/** Whether a point enforces the newest. What its hello said it holds does not count: it may still refuse or lose that. */
export function isCurrent(point: EnforcementPoint): boolean {
  if (point.stale || point.refused.length > 0 || point.acknowledged === false) return false;
  return point.sets.every((set) => set.current);
}
