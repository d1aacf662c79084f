import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { commitChanges, layoutOf, loadAuthor, type Session } from '#client';
import { parseResources, resourceKey } from '#resource';
import { missingResources } from './auto-register.ts';
import {
  findShop,
  noteShop,
  type ShopProcess,
  startShopProcess,
  stopShopProcess,
} from './shop-process.ts';
import { StartError } from './start-error.ts';
import type { RunningMesh } from './up.ts';

/** A running demo shop. */
export type Demo = { readonly services: readonly string[]; readonly close: () => Promise<void> };

const SHOP = ['payments', 'catalog', 'orders', 'web', 'intruder'] as const;
const MAIN = fileURLToPath(new URL('../../bin/palisade.js', import.meta.url));
const DEMO_FOLDER = new URL('../../demo/', import.meta.url);
const MARKER = 'demo';
const READY_LIMIT_MS = 20_000;
const POLL_MS = 50;

/** Whether `root` holds a mesh that is no left-over of a demo. */
export function holdsOwnMesh(root: string): boolean {
  return existsSync(layoutOf(root).trustRoot) && !existsSync(join(root, MARKER));
}

/** Marks `root` as a demo's, so that the next demo may replace what a killed one left. */
export function markAsDemo(root: string): void {
  writeFileSync(
    join(root, MARKER),
    'this mesh belongs to `palisade up --demo` and goes when it ends\n',
    { mode: 0o600 },
  );
}

/**
 * Applies the shop's policies and registrations where there was no shop yet and starts its services, each an ordinary
 * program with its own sidecar. Those that a killed demo left running go on as they are, and end with this one.
 */
export async function startDemo(mesh: RunningMesh): Promise<Demo> {
  const { root } = mesh.folder;
  const log = openSync(join(root, 'demo.log'), 'a', 0o600);
  const notes = join(root, 'shop.json');
  // A shop that was here before has its policies, as its user changed them.
  if (!existsSync(notes)) await applyShopPolicies(mesh.session);
  const left = findShop(notes);
  const shop = SHOP.map(
    (service) => left.find((each) => each.service === service) ?? startService(service, root, log),
  );
  noteShop(notes, shop);
  await shopReady(mesh.session);
  return {
    services: SHOP,
    close: async () => {
      await Promise.all(shop.map((each) => stopShopProcess(each)));
    },
  };
}

/** Waits until every sidecar of the shop enforces, so that whoever opens the console sees it; not for ever. */
async function shopReady({ api }: Session): Promise<void> {
  const deadline = Date.now() + READY_LIMIT_MS;
  for (;;) {
    const { items } = await api.call<{ items: readonly Point[] }>(
      'GET',
      '/enforcement-points?limit=1000',
    );
    const ready = items.filter((point) => point.kind === 'proxy' && point.connected && point.ready);
    const missing = SHOP.filter((service) => !ready.some((point) => point.service === service));
    if (missing.length === 0 || Date.now() > deadline) return;
    await delay(POLL_MS);
  }
}

type Point = {
  readonly kind: string;
  readonly service: string | null;
  readonly connected: boolean;
  readonly ready: boolean;
};

// The services are registered here and not each by its own `palisade run`: five that start at once would race for the
// same policy set, and the audit log of a new mesh would begin with refusals.
async function applyShopPolicies(session: Session): Promise<void> {
  const file = fileURLToPath(new URL('policies/shop.yaml', DEMO_FOLDER));
  const parsed = parseResources([{ file, text: readFileSync(file, 'utf8') }], {
    defaultNamespace: 'default',
  });
  const problem = parsed.diagnostics.find(({ severity }) => severity === 'error');
  if (problem !== undefined) {
    throw new StartError(`${file}:${problem.line}: ${problem.message}`, problem.help);
  }
  const author = loadAuthor(session.folder);
  if (!author.ok) throw new StartError(author.error, 'see `palisade doctor`');
  const stored = await commitChanges({
    api: session.api,
    namespace: 'default',
    trustRoot: session.trustRoot,
    author: author.value,
    changes: (live) => [
      ...parsed.resources.map(({ resource, text }) => ({
        key: resourceKey(resource),
        resource,
        source: text,
      })),
      ...SHOP.flatMap((service) =>
        missingResources(live, session, { namespace: 'default', service }),
      ),
    ],
  });
  if (!stored.ok) throw new StartError(stored.error.message, 'see `palisade doctor`');
}

function startService(service: string, dataDir: string, log: number): ShopProcess {
  const program = fileURLToPath(new URL(`shop/${service}.js`, DEMO_FOLDER));
  const run = [MAIN, 'run', '--data', dataDir, '--service', service];
  return startShopProcess(
    service,
    [process.execPath, ...run, '--', process.execPath, program],
    log,
  );
}
