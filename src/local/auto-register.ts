import { ApiError, commitChanges, type LiveSet, loadAuthor, type Session } from '#client';
import { fail, ok, type Result } from '#lib';
import { parseStoredResource } from '#resource';

/** Which of the two resources of a service were made. */
type Made = { readonly service: boolean; readonly workload: boolean };

/** What became of the registration of a service. */
export type RegistrationOutcome =
  | { readonly kind: 'already_registered' }
  /** A Service, a Registration or both were missing and are there now. */
  | { readonly kind: 'registered'; readonly made: Made }
  /** Nobody could be asked; `reason` is a sentence. */
  | { readonly kind: 'unknown'; readonly reason: string };

/**
 * Sees to it that `service` has a Service and a Registration, signing them with the data folder's key where they are
 * missing: one person on one machine should not have to write them first. A strict mesh refuses instead.
 */
export async function ensureRegistered(
  session: Session,
  workload: { readonly namespace: string; readonly service: string },
): Promise<Result<RegistrationOutcome, string>> {
  const { namespace, service } = workload;
  try {
    const author = loadAuthor(session.folder);
    if (!author.ok) return author;
    let refused = false;
    let made: Made = { service: false, workload: false };
    const commit = await commitChanges({
      api: session.api,
      namespace,
      trustRoot: session.trustRoot,
      author: author.value,
      changes: (live) => {
        const missing = missingResources(live, session, workload);
        refused =
          session.settings.strict && missing.some(({ key }) => key.startsWith('Registration/'));
        made = {
          service: missing.some(({ key }) => key.startsWith('Service/')),
          workload: missing.some(({ key }) => key.startsWith('Registration/')),
        };
        return refused ? [] : missing;
      },
    });
    if (refused)
      return fail(`\`${namespace}/${service}\` has no registration and this mesh is strict`);
    if (!commit.ok)
      return fail(`the policy set of \`${namespace}\` does not verify: ${commit.error.message}`);
    return ok(
      commit.value === undefined ? { kind: 'already_registered' } : { kind: 'registered', made },
    );
  } catch (error) {
    // A control plane that is down stops nobody who was registered before; the agent and the CA decide.
    if (error instanceof ApiError && error.status === 0) {
      return ok({ kind: 'unknown', reason: error.message });
    }
    if (error instanceof ApiError) return fail(`cannot register \`${service}\`: ${error.message}`);
    throw error;
  }
}

/** The Service and the Registration of a workload, as far as the set has neither them nor another registration of its identity. */
export function missingResources(
  live: LiveSet,
  session: Session,
  workload: { readonly namespace: string; readonly service: string },
): readonly { key: string; resource: unknown }[] {
  const { namespace, service } = workload;
  const has = (key: string) => live.set?.resources.has(key) === true;
  const spiffeId = `spiffe://${session.trustRoot.trustDomain}/ns/${namespace}/sa/${service}`;
  const wanted = [
    { key: `Service/${service}`, resource: serviceOf(namespace, service) },
    ...(isRegistered(live, spiffeId)
      ? []
      : [
          {
            key: `Registration/${service}`,
            resource: registrationOf(namespace, service, spiffeId),
          },
        ]),
  ];
  return wanted.filter(({ key }) => !has(key));
}

function isRegistered(live: LiveSet, spiffeId: string): boolean {
  return [...(live.set?.resources ?? [])].some(
    ([key, value]) =>
      key.startsWith('Registration/') &&
      (value as { spec?: { spiffeId?: string } }).spec?.spiffeId === spiffeId,
  );
}

function serviceOf(namespace: string, name: string): unknown {
  return canonical({
    apiVersion: 'palisade.dev/v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports: [{ name: 'http', port: 80, protocol: 'http' }] },
  });
}

function registrationOf(namespace: string, name: string, spiffeId: string): unknown {
  return canonical({
    apiVersion: 'palisade.dev/v1',
    kind: 'Registration',
    metadata: { name, namespace },
    spec: {
      spiffeId,
      selectors: [`unix:uid:${process.getuid?.() ?? 0}`, `palisade:service:${namespace}/${name}`],
    },
  });
}

function canonical(resource: unknown): unknown {
  const parsed = parseStoredResource(resource);
  if (!parsed.ok) throw new Error(`a resource of our own making does not parse: ${parsed.error}`);
  return parsed.value;
}
