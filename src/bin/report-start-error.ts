import { asTyped, EXIT } from '#cli';
import { StartError } from '#local';

/** Runs a process to its end; a start that failed for a reason in its user's hands is told in words. */
export async function reportStartErrors(main: () => Promise<number>): Promise<number> {
  try {
    return await main();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(
      `palisade: ${error.message}\n  help: ${asTyped(error.help, process.env)}\n`,
    );
    return EXIT.usage;
  }
}
