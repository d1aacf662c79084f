import { EVENT } from '#telemetry';

/** What a person has to know of a sidecar, in words, and what to do about it; undefined: nothing. */
export type Notice = { readonly text: string; readonly help: string | undefined };

type Fields = Readonly<Record<string, unknown>>;

const DISK = 'see whether the disk is full and whose the data folder is';

/**
 * Who looks at an application's terminal did not ask for its sidecar: of what a sidecar logs, only what takes somebody to
 * mend it, and that it is over. All else is in its log file.
 */
const NOTICES: Readonly<Record<string, (fields: Fields) => Notice>> = {
  [EVENT.configurationLost]: ({ reason, error }) => ({
    text: `has lost the mesh and enforces what it has: ${wordsOf(reason ?? error)}`,
    help: 'start it with `palisade up` (or `palisade agent`)',
  }),
  [EVENT.identityLost]: ({ reason }) => ({
    text: `has no identity: ${wordsOf(reason)}`,
    help: 'see `palisade doctor`',
  }),
  [EVENT.policyRefused]: ({ namespace, number, reason }) => ({
    text: `refuses version ${wordsOf(number)} of ${wordsOf(namespace)} and enforces what it had: ${wordsOf(reason)}`,
    help: 'see `palisade status`',
  }),
  [EVENT.policyOnDiskRefused]: ({ reason }) => ({
    text: `does not take the policy it kept and waits for the mesh's: ${wordsOf(reason)}`,
    help: 'see `palisade status`',
  }),
  [EVENT.trustRootRefused]: ({ reason }) => ({
    text: `refuses a trust root and keeps its own: ${wordsOf(reason)}`,
    help: 'see `palisade ca status`',
  }),
  [EVENT.jwksFailed]: ({ uri, problem }) => ({
    text: `cannot fetch the keys of a token issuer from ${wordsOf(uri)}: ${wordsOf(problem)}`,
    help: 'see whether that address answers from here',
  }),
  [EVENT.stateWriteFailed]: ({ error }) => ({
    text: `cannot keep on disk what it needs after a restart: ${wordsOf(error)}`,
    help: DISK,
  }),
  [EVENT.spoolWriteFailed]: ({ error }) => ({
    text: `cannot keep access records on disk: ${wordsOf(error)}`,
    help: DISK,
  }),
  [EVENT.recordsDropped]: () => ({
    text: 'has dropped access records: more came than it may keep',
    help: 'see `palisade alerts list`, and whether the control plane takes records',
  }),
  [EVENT.failed]: ({ error }) => ({
    text: `met an error that is a defect of Palisade: ${wordsOf(error)}`,
    help: 'report it with `palisade support-bundle`',
  }),
};

/** The same thing again is said once in so many ms. */
const AGAIN_MS = 600_000;
const MAX_REMEMBERED = 100;

/** Reads a sidecar's log lines and says what is to be said of them, never the same twice within ten minutes. */
export function createNotices(clock: () => number): (line: string) => Notice | undefined {
  const saidAt = new Map<string, number>();
  let isLost = false;
  return (line) => {
    const fields = fieldsOf(line);
    const event = String(fields?.['msg'] ?? '');
    if (fields === undefined) return undefined;
    if (event === EVENT.configurationConnected && isLost) {
      isLost = false;
      return { text: 'is connected to the mesh again', help: undefined };
    }
    const notice = NOTICES[event]?.(fields);
    if (notice === undefined) return undefined;
    if (event === EVENT.configurationLost) {
      if (isLost) return undefined;
      isLost = true;
      return notice;
    }
    const now = clock();
    if (now - (saidAt.get(notice.text) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return undefined;
    // SECURITY: reasons quote what others chose; who thinks of new ones without end fills no memory.
    if (saidAt.size >= MAX_REMEMBERED) saidAt.clear();
    saidAt.set(notice.text, now);
    return notice;
  };
}

function fieldsOf(line: string): Fields | undefined {
  try {
    return JSON.parse(line) as Fields;
  } catch {
    // No line of ours.
    return undefined;
  }
}

const MAX_WORDS = 300;

// SECURITY: the log escapes control characters as JSON does; unescaped, they would command the terminal.
function wordsOf(value: unknown): string {
  const text = value === undefined ? 'no reason was given' : String(value);
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.slice(0, MAX_WORDS).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
