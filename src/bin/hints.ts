import { spokenName } from '#cli';
import type { RunningMesh } from '#local';

/** What the terminal says of a fresh mesh. */
export function upHints(mesh: RunningMesh, strict: boolean): string {
  const run = strict ? '  (strict: apply a Registration and a Service for it first)' : '';
  const name = spokenName(process.env);
  return `mesh ${mesh.settings.trustDomain}, data in ${mesh.folder.root}

in another terminal:
${columns([
  [`${name} run --service web -- CMD`, `an application with its sidecar${run}`],
  [`${name} init policies`, 'resources to start from; then validate, apply -f, status --wait'],
  [`${name} log --follow`, 'who calls whom'],
])}
`;
}

/** What the terminal says of the demo. */
export function demoHints(
  mesh: RunningMesh,
  services: readonly string[],
  needsData: boolean,
): string {
  const name = spokenName(process.env);
  const npx = needsData ? `PALISADE_DATA=${mesh.folder.root} ${name}` : name;
  return `mesh ${mesh.settings.trustDomain} with a shop: ${services.join(', ')} (the last keeps trying what it may not)

in another terminal:
${columns([
  [`${npx} check --from web --to payments --method POST --path /charge`, ''],
  [`${npx} log --denied`, 'who was stopped; take a denial id from it, then'],
  [`${npx} explain ID`, 'why, and the smallest change that would allow it'],
  [`${npx} apply -f demo/policies`, 'after editing demo/policies/shop.yaml'],
  [`${npx} status`, 'which version each sidecar enforces'],
  [`kill -9 ${process.pid}`, 'this control plane is gone; the sidecars go on enforcing'],
])}
`;
}

// Commands and what they do, side by side; one without words may be as long as it likes.
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([command, does]) => (does === '' ? 0 : command.length)));
  return rows
    .map(([command, does]) => `  ${does === '' ? command : `${command.padEnd(width)}   ${does}`}`)
    .join('\n');
}
