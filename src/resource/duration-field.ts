import { formatDuration, parseDuration } from '#lib';
import { quote, type Reader, text } from './schema.ts';

/** Reads a duration such as `30s` or `1h30m` between two bounds in milliseconds; the value stays text. */
export function duration(minMs: number, maxMs: number): Reader<string> {
  const bounds = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return text((value) => {
    const parsed = parseDuration(value);
    if (!parsed.ok) {
      return {
        code: 'bad_value',
        message: `${quote(value)} is not a duration`,
        help: 'write for example 250ms, 30s, 5m or 1h30m',
      };
    }
    if (parsed.value >= minMs && parsed.value <= maxMs) return undefined;
    return {
      code: 'bad_value',
      message: `${quote(value)} is out of range`,
      help: `write a duration ${bounds}`,
    };
  });
}
