import { readdirSync } from 'node:fs';
import { endianness, getPriority } from 'node:os';

/**
 * How long the kernel lets a thread run on before whoever wakes up on its core gets its turn (sched(7), struct
 * sched_attr's `sched_runtime` for ordinary threads: Linux 6.12 and later; earlier ones take no notice of it).
 */
export type ThreadSlices = {
  /** In ms, 0 where the kernel does not say; undefined for a thread that is gone or is no ordinary one. */
  readonly sliceMs: (threadId: number) => number | undefined;
  /** Of an ordinary thread of this process; false where that cannot be. It keeps its niceness and its share of the processor. */
  readonly set: (threadId: number, sliceMs: number) => boolean;
};

type Syscall = (
  number: number,
  threadId: number,
  attributes: Buffer,
  ...rest: readonly [number, number]
) => number;

// <asm/unistd_64.h> and <asm-generic/unistd.h>
const NUMBERS: Readonly<Record<string, { readonly read: number; readonly write: number }>> = {
  x64: { read: 315, write: 314 },
  arm64: { read: 275, write: 274 },
};
// struct sched_attr (sched_setattr(2)): size, policy, flags, nice, priority, runtime, deadline, period.
const ATTRIBUTES = { bytes: 48, policy: 4, flags: 8, nice: 16, runtime: 24 } as const;
const SCHED_OTHER = 0;
const NS_A_MS = 1_000_000;
/** The longest that the kernel takes. */
const LONG_SLICE_MS = 100;
/** Threads come later, too: V8, libuv and the store of records start some when there is work for them. */
const LOOK_EVERY_MS = 30_000;

/** The kernel's, by way of `koffi`; undefined where that cannot be loaded, or is no Linux that is known here. */
export async function openThreadSlices(): Promise<ThreadSlices | undefined> {
  const numbers = NUMBERS[process.arch];
  if (process.platform !== 'linux' || numbers === undefined || endianness() !== 'LE') return;
  try {
    const { default: koffi } = await import('koffi');
    const syscall = koffi
      .load(null)
      .func(
        'long syscall(long number, int thread, _Inout_ uint8_t *attributes, unsigned int a, unsigned int b)',
      ) as unknown as Syscall;
    return slicesOf(syscall, numbers);
  } catch {
    // Optional: without it, whoever shares our cores waits for a moment more.
    return undefined;
  }
}

function slicesOf(syscall: Syscall, numbers: { read: number; write: number }): ThreadSlices {
  const read = (threadId: number): Buffer | undefined => {
    const attributes = Buffer.alloc(ATTRIBUTES.bytes);
    if (syscall(numbers.read, threadId, attributes, ATTRIBUTES.bytes, 0) !== 0) return undefined;
    // Whoever gave it another policy meant it.
    return attributes.readUInt32LE(ATTRIBUTES.policy) === SCHED_OTHER ? attributes : undefined;
  };
  return {
    sliceMs(threadId) {
      const attributes = read(threadId);
      return attributes && Number(attributes.readBigUInt64LE(ATTRIBUTES.runtime)) / NS_A_MS;
    },
    set(threadId, sliceMs) {
      const attributes = read(threadId);
      if (attributes === undefined) return false;
      attributes.writeUInt32LE(ATTRIBUTES.bytes, 0);
      attributes.writeBigUInt64LE(0n, ATTRIBUTES.flags);
      attributes.writeInt32LE(getPriority(threadId), ATTRIBUTES.nice);
      attributes.writeBigUInt64LE(BigInt(sliceMs * NS_A_MS), ATTRIBUTES.runtime);
      return syscall(numbers.write, threadId, attributes, 0, 0) === 0;
    },
  };
}

/**
 * From now on the threads of this process that nobody waits for (those that store records, compile and collect) make way at
 * once for whoever wakes up on their core, such as a sidecar with a request, which otherwise waits for up to 4 ms. They
 * lose nothing of their share, and need no privilege for it. The main thread stays as it is: people wait for its answers.
 * Returns how to stop looking for new ones.
 */
export async function makeWay(): Promise<() => void> {
  const slices = await openThreadSlices();
  if (slices === undefined) return () => undefined;
  const look = (): void => {
    for (const threadId of ownThreads()) {
      if (threadId !== process.pid && slices.sliceMs(threadId) !== LONG_SLICE_MS)
        slices.set(threadId, LONG_SLICE_MS);
    }
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

function ownThreads(): readonly number[] {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    // No /proc: then nothing is known of them.
    return [];
  }
}
