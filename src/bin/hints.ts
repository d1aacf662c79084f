import type { RunningMesh } from '#local';

/** What the terminal says of a fresh mesh. */
export function upHints(mesh: RunningMesh, strict: boolean): string {
  const run = strict ? '  (strict: apply a Registration and a Service for it first)' : '';
  return `mesh ${mesh.settings.trustDomain}, data in ${mesh.folder.root}

in another terminal:
  palisade run --service web -- CMD      an application with its sidecar${run}
  palisade init policies                 resources to start from; then validate, apply -f, status --wait
  palisade log --follow                  who calls whom
`;
}

/** What the terminal says of the demo. */
export function demoHints(
  mesh: RunningMesh,
  services: readonly string[],
  needsData: boolean,
): string {
  const npx = needsData ? `PALISADE_DATA=${mesh.folder.root} npx palisade` : 'npx palisade';
  return `mesh ${mesh.settings.trustDomain} with a shop: ${services.join(', ')} (the last keeps trying what it may not)

in another terminal:
  ${npx} check --from web --to payments --method POST --path /charge
  ${npx} log --denied                    who was stopped; take a denial id from it, then
  ${npx} explain ID                      why, and the smallest change that would allow it
  ${npx} apply -f demo/policies          after editing demo/policies/shop.yaml
  ${npx} status                          which version each sidecar enforces
  kill -9 ${process.pid}                             this control plane is gone; the sidecars go on enforcing
`;
}
