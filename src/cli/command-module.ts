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
