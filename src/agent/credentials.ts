import { closeSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fail, ok, type Result } from '#lib';

/** What the kernel says of the process that connected a Unix socket. */
export type PeerCredentials = {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Whether that very process still runs; undefined where the kernel cannot say (before Linux 6.5). */
  readonly isAlive: (() => boolean) | undefined;
};

/** Where peer credentials come from: the kernel, or a test. */
export type CredentialSource = {
  readonly credentialsOf: (socket: Socket) => Result<PeerCredentials, string>;
};

type Libc = {
  readonly getsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Buffer,
    length: number[],
  ) => number;
  readonly poll: (descriptors: Buffer, count: number, timeoutMs: number) => number;
};

// Linux, all architectures Node.js 24 runs on: <asm-generic/socket.h>.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
const UCRED_BYTES = 12;
const POLLIN = 1;

/** Prepares reading SO_PEERCRED; fails in words where that is impossible on this machine. */
export async function createKernelCredentials(): Promise<Result<CredentialSource, string>> {
  if (process.platform !== 'linux') {
    return fail('attesting local processes needs Linux (SO_PEERCRED)');
  }
  const loaded = await loadLibc();
  if (!loaded.ok) return loaded;
  return ok({ credentialsOf: (socket) => readCredentials(loaded.value, socket) });
}

async function loadLibc(): Promise<Result<Libc, string>> {
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const getsockopt = libc.func(
      'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    );
    const poll = libc.func('int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)');
    return ok({ getsockopt, poll } as unknown as Libc);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      `the native call for peer credentials (package \`koffi\`) cannot be loaded, so no local process can be attested: ${why}`,
    );
  }
}

function readCredentials(libc: Libc, socket: Socket): Result<PeerCredentials, string> {
  const fd = descriptorOf(socket);
  if (fd === undefined) return fail('the connection has no file descriptor');
  const ucred = Buffer.alloc(UCRED_BYTES);
  const length = [UCRED_BYTES];
  const failed = libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0;
  if (failed || length[0] !== UCRED_BYTES) {
    return fail('the kernel gave no peer credentials');
  }
  const pid = ucred.readInt32LE(0);
  // SECURITY: pid 0 means a process outside our PID namespace, of which /proc here says nothing.
  if (pid <= 0) return fail("the peer runs outside of the agent's PID namespace");
  const isAlive = watchProcess(libc, socket, pid);
  return ok({ pid, uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8), isAlive });
}

/**
 * SECURITY: a pid alone could be reused between connect and now. The pidfd that the kernel keeps with the
 * socket (SO_PEERPIDFD) means the process that connected and never another.
 */
function watchProcess(libc: Libc, socket: Socket, pid: number): (() => boolean) | undefined {
  const fd = descriptorOf(socket);
  const value = Buffer.alloc(4);
  if (fd === undefined || libc.getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value, [4]) !== 0) {
    return undefined;
  }
  const pidfd = value.readInt32LE(0);
  const isOurs = pidOf(pidfd) === pid;
  let isOpen = true;
  socket.once('close', () => {
    isOpen = false;
    closeSync(pidfd);
  });
  return () => isOpen && isOurs && isRunning(libc, pidfd);
}

/** A pidfd is readable from the end of its process on (pidfd_open(2)); whatever else happens is no process that runs. */
function isRunning({ poll }: Libc, pidfd: number): boolean {
  // struct pollfd: the descriptor, what is asked for, what is so (poll(2)).
  const asked = Buffer.alloc(8);
  asked.writeInt32LE(pidfd, 0);
  asked.writeInt16LE(POLLIN, 4);
  return poll(asked, 1, 0) === 0;
}

/** The pid a pidfd stands for; -1 once the process is gone (proc(5), fdinfo). */
function pidOf(pidfd: number): number | undefined {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8');
    return Number(/^Pid:\s*(-?\d+)$/m.exec(info)?.[1]);
  } catch {
    // Without /proc nobody is attested anyhow.
    return undefined;
  }
}

function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
