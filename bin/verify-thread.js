// Entry of a thread that verifies segments of an audit log; started by src/audit/verify-folder.ts.
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { entry } from './entry.js';

// A thread has its own; without it, it would strip and compile what it loads each time, at 40 MB.
module.enableCompileCache?.(
  fileURLToPath(new URL('../node_modules/.cache/palisade', import.meta.url)),
);
await import(entry('verify-thread').href);
