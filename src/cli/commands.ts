import type { Command } from 'commander';
import type { CliContext } from './context.ts';

/** One command: it adds itself to the program and reports its exit status through `finish`. */
export type CommandModule = {
  readonly register: (
    program: Command,
    context: CliContext,
    finish: (status: number) => void,
  ) => void;
};

/** Every command by its verb, each loaded only when needed; the order is that of `--help`. */
export const commandLoaders: Readonly<Record<string, () => Promise<CommandModule>>> = {
  up: () => import('./commands/up.ts'),
  run: () => import('./commands/run.ts'),
  init: () => import('./commands/init.ts'),
  validate: () => import('./commands/validate.ts'),
  test: () => import('./commands/test.ts'),
  apply: () => import('./commands/apply.ts'),
  get: () => import('./commands/get.ts'),
  delete: () => import('./commands/delete.ts'),
  diff: () => import('./commands/diff.ts'),
  import: () => import('./commands/import.ts'),
  check: () => import('./commands/check.ts'),
  'who-can': () => import('./commands/who-can.ts'),
  explain: () => import('./commands/explain.ts'),
  suggest: () => import('./commands/suggest.ts'),
  status: () => import('./commands/status.ts'),
  alerts: () => import('./commands/alerts.ts'),
  slo: () => import('./commands/slo.ts'),
  log: () => import('./commands/log.ts'),
  trace: () => import('./commands/trace.ts'),
  sink: () => import('./commands/sink.ts'),
  identity: () => import('./commands/identity.ts'),
  token: () => import('./commands/token.ts'),
  audit: () => import('./commands/audit.ts'),
  doctor: () => import('./commands/doctor.ts'),
  'support-bundle': () => import('./commands/support-bundle.ts'),
  control: () => import('./commands/control.ts'),
  ca: () => import('./commands/ca.ts'),
  agent: () => import('./commands/agent.ts'),
  proxy: () => import('./commands/proxy.ts'),
  'bundle-endpoint': () => import('./commands/bundle-endpoint.ts'),
  completion: () => import('./commands/completion.ts'),
  version: () => import('./commands/version.ts'),
};
