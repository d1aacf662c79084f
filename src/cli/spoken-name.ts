/** How the user called us: `npx palisade` below npm or npx, where PATH may hold no `palisade` at all. */
export function spokenName(env: NodeJS.ProcessEnv): string {
  return env['npm_command'] === undefined && env['npm_lifecycle_event'] === undefined
    ? 'palisade'
    : 'npx palisade';
}

/** Text with its commands (`palisade …` in backticks, after a `$` or at a line's beginning) as this user has to type them. */
export function asTyped(text: string, env: NodeJS.ProcessEnv): string {
  const name = spokenName(env);
  return name === 'palisade'
    ? text
    : text.replaceAll(/(`|^ *(?:\$ )?|&& |\$\(|: )palisade (?=[a-z-])/gm, `$1${name} `);
}
