/** The exit statuses of surface.md. */
export const EXIT = { done: 0, no: 1, usage: 2, unreachable: 3, notPermitted: 4 } as const;

/** Ends a command with `status` and an error in words: what happened, why, and what to do next. */
export class ExitError extends Error {
  readonly status: number;
  readonly help: string | undefined;

  constructor(status: number, message: string, help?: string) {
    super(message);
    this.status = status;
    this.help = help;
  }
}
