/** What every list of the API looks like. */
export type Page<T> = {
  readonly items: readonly T[];
  /** Given back as `?cursor=`; null at the end. */
  readonly next: string | null;
};
