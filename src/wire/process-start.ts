/** When this process started, in Unix milliseconds: what tells one run of it from the next. */
export const PROCESS_STARTED_AT_MS: bigint = BigInt(Math.round(performance.timeOrigin));
