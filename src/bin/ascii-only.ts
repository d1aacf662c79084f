import type { Plugin } from 'rolldown';

/**
 * Writes what is not ASCII as escapes. One character beyond Latin-1 makes V8 hold the whole file in two bytes a character,
 * for as long as the process lives: 1.2 MB of an agent, 2.5 MB of a control plane. INVARIANT: no template that is read raw
 * holds such a character; everywhere else in JavaScript the escape means the same.
 */
export function asciiOnly(): Plugin {
  return {
    name: 'ascii-only',
    generateBundle(_options, bundle) {
      for (const part of Object.values(bundle)) {
        if (part.type === 'chunk') part.code = part.code.replace(/[^\0-\x7f]/g, escapeOf);
      }
    },
  };
}

function escapeOf(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
