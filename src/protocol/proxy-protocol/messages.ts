/** Why bytes are no PROXY protocol header that is accepted; `more` when they may become one. */
export const PROXY_HEADER_ERRORS = [
  'more',
  'not_proxy_header',
  'bad_proxy_header',
  'proxy_header_too_large',
  'proxy_family_refused',
  'bad_proxy_checksum',
] as const;

/** One of `PROXY_HEADER_ERRORS`. */
export type ProxyHeaderError = (typeof PROXY_HEADER_ERRORS)[number];

/** One end of the connection that a balancer accepted. */
export type ProxiedAddress = { readonly ip: string; readonly port: number };

/** What a balancer says of the connection it passes on. */
export type ProxyHeader = {
  readonly version: 1 | 2;
  /**
   * Who connected to the balancer, and where to; undefined where the balancer speaks for itself
   * (`LOCAL`, as in its health checks) or does not know (`UNKNOWN`).
   */
  readonly proxied:
    | { readonly source: ProxiedAddress; readonly destination: ProxiedAddress }
    | undefined;
  /** Bytes of the header; what follows belongs to the connection. */
  readonly consumed: number;
};
