/** Runs tasks soon, a few in each turn of the event loop, in the order in which they came. */
export type FanOut = (task: () => void) => void;

// As many buffers for output as connections share (src/protocol/http2/output.ts).
const TASKS_A_TURN = 8;

/**
 * Creates a fan-out. A thousand neighbours take a tenth of a second to be told; in between, those that were told first
 * get to tell theirs, and connections that the news concerns get to be cut.
 */
export function createFanOut(): FanOut {
  const waiting: (() => void)[] = [];
  let next = 0;
  let isRunning = false;

  function turn(): void {
    const end = Math.min(next + TASKS_A_TURN, waiting.length);
    for (; next < end; next++) waiting[next]?.();
    isRunning = next < waiting.length;
    if (isRunning) {
      setImmediate(turn);
      return;
    }
    waiting.length = 0;
    next = 0;
  }

  return (task) => {
    waiting.push(task);
    if (isRunning) return;
    isRunning = true;
    // Those who are few wait for nobody.
    setImmediate(turn);
  };
}
