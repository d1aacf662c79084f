// Each runbook is a file of its own in the build, fetched when someone opens it.
const SOURCES = import.meta.glob<string>('../../../../docs/runbooks/*.md', {
  query: '?raw',
  import: 'default',
});

/** The text of a runbook, or undefined where this build has none of that name. Rejects where it cannot be fetched. */
export function loadRunbook(name: string): Promise<string> | undefined {
  return SOURCES[`../../../../docs/runbooks/${name}.md`]?.();
}
