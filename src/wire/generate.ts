// `npm run wire`: makes gen/ of the .proto files.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
rmSync(`${here}/gen`, { recursive: true, force: true });
execFileSync('buf', ['generate'], { cwd: here, stdio: 'inherit' });
