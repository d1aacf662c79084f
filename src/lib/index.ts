// lib: small tools without I/O, clock or log that every layer may use.
export { type Backoff, type BackoffOptions, createBackoff } from './backoff.ts';
export { type Cidr, cidrContains, parseCidr, parseIp } from './cidr.ts';
export { formatDuration, parseDuration } from './duration.ts';
export { originalAddress } from './forwarded-for.ts';
export { type Cell, createCell, type Source } from './observable.ts';
export { fail, ok, type Result } from './result.ts';
export { parseTimeWindow, type TimeWindow, windowHolds } from './time-window.ts';
