/** `GET /overview`: is everything all right? */
export type Overview = {
  readonly sentence: string;
  /** Worst first. */
  readonly problems: readonly Problem[];
  readonly counts: {
    readonly services: number;
    readonly namespaces: number;
    readonly policies: number;
    readonly proxies: number;
    readonly proxiesConnected: number;
    readonly stale: number;
    readonly refusing: number;
    readonly edges: number;
    readonly edgesEncrypted: number;
    readonly denialsLastHour: number;
    readonly identities: number;
  };
  /** One number a step over the last 15 minutes, oldest first. */
  readonly series: {
    readonly stepSeconds: number;
    readonly from: string;
    readonly calls: readonly number[];
    readonly denied: readonly number[];
    readonly errors: readonly number[];
  };
};

/** Something that needs a person, with the command that shows or mends it. */
export type Problem = {
  readonly severity: 'page' | 'ticket' | 'info';
  readonly sentence: string;
  readonly command: string | null;
};
