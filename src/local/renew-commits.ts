import { ApiError, commitChanges, loadAuthor, type Session } from '#client';
import { EVENT, type Log } from '#telemetry';

const DAY_MS = 86_400_000;
/** Half of what a commit lasts, so that a machine may sleep for weeks in between. */
const RENEW_WITHIN_MS = 45 * DAY_MS;

/**
 * Signs namespaces whose policy would expire, now and every day: one person on one machine should not have to know
 * that signatures end. Where the author's key is elsewhere, its holder renews by applying anything.
 */
export function keepCommitsFresh(session: Session, log: Log): { readonly close: () => void } {
  const renew = () => {
    renewAll(session).catch((error: unknown) => log.warn(EVENT.policyNotRenewed, { error }));
  };
  renew();
  const timer = setInterval(renew, DAY_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

async function renewAll(session: Session): Promise<void> {
  const author = loadAuthor(session.folder);
  if (!author.ok) return;
  const { api, trustRoot } = session;
  const page = await api.call<{ items: { namespace: string }[] }>('GET', '/policy-sets?limit=1000');
  for (const { namespace } of page.items) {
    const renewed = await commitChanges({
      api,
      namespace,
      trustRoot,
      author: author.value,
      changes: () => [],
      renewWithinMs: RENEW_WITHIN_MS,
    });
    if (!renewed.ok) throw new ApiError(0, renewed.error.code, renewed.error.message);
  }
}
