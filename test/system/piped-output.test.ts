// What a command prints arrives whole, however slowly it is read: `palisade log -o json | jq`, `palisade audit export | gzip`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../bin/palisade.js', import.meta.url));
/** More than a pipe takes at once. */
const PIPE_BYTES = 65_536;

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'palisade-piped-'));
  const wrong = (index: number) =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: p${index}\nspec:\n  acton: ALLOW\n`;
  const documents = Array.from({ length: 1_500 }, (_, index) => wrong(index));
  writeFileSync(join(folder, 'wrong.yaml'), documents.join('---\n'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `palisade validate` with its output sent on by the shell. */
function validate(onward: string) {
  const script = `"$1" "$2" validate -o json "$3/wrong.yaml" ${onward}`;
  return spawnSync('sh', ['-c', script, 'sh', process.execPath, COMMAND, folder], {
    encoding: 'utf8',
    timeout: 30_000,
  });
}

test('a reader that begins late gets all of it, and the exit status is that of the command', () => {
  const direct = validate('> "$3/direct"');
  assert.equal(direct.status, 2, direct.stderr);
  const whole = readFileSync(join(folder, 'direct'));
  assert.ok(whole.length > 2 * PIPE_BYTES, `${whole.length} bytes`);
  validate('| (sleep 1; cat > "$3/piped")');
  const piped = readFileSync(join(folder, 'piped'));
  assert.ok(piped.equals(whole), `${piped.length} of ${whole.length} bytes`);
});

test('a reader that leaves early ends the command without a complaint', () => {
  const left = validate('| head -c 10');
  assert.deepEqual([left.status, left.stderr, left.stdout.length], [0, '', 10]);
});
