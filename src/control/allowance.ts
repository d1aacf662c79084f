/** So many a minute, whoever asks. */
export function createAllowance(clock: () => number, perMinute: number): { take: () => boolean } {
  let minute = 0;
  let taken = 0;
  return {
    take() {
      const now = Math.floor(clock() / 60_000);
      if (now !== minute) {
        minute = now;
        taken = 0;
      }
      taken += 1;
      return taken <= perMinute;
    },
  };
}
