import type { Socket } from 'node:net';
import type { ProxyContext } from './context.ts';
import type { Live } from './live.ts';

/** Servers of many protocols speak first; with nobody there, their callers need not wait for longer to hear that. */
const SILENCE_MS = 1_000;

/**
 * Waits for the first byte on a port that stands for a service which nobody knows, so that nobody knows its protocol either:
 * callers of HTTP can be told what is wrong (`onHttp`; nothing has been taken from the socket), all others are reset (`onOther`).
 */
export function hearUnknown(
  socket: Socket,
  context: ProxyContext,
  { onHttp, onOther }: { readonly onHttp: () => void; readonly onOther: () => void },
): void {
  const settle = (): void => {
    context.live.remove(waiting);
    socket.off('data', onData);
    socket.off('end', end);
    socket.off('close', settle);
    socket.pause();
  };
  const other = (): void => {
    settle();
    onOther();
  };
  const onData = (chunk: Buffer): void => {
    const first = chunk[0] ?? 0;
    // Methods are words, and those in use are written in capitals.
    if (first < 0x41 || first > 0x5a) return other();
    settle();
    socket.unshift(chunk);
    onHttp();
  };
  const end = (): void => {
    socket.destroy();
  };
  const waiting: Live = {
    deadlineAt: context.live.now + SILENCE_MS,
    cutAt: 0,
    manner: 'stream',
    expire: other,
    // It has asked for nothing yet.
    judge: () => undefined,
    cut: end,
    drain: end,
    destroy: end,
  };
  context.live.add(waiting);
  socket.on('data', onData);
  socket.on('end', end);
  socket.on('close', settle);
  socket.resume();
}
