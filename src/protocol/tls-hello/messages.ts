/** What the first bytes of a connection look like. */
export type TlsGuess = 'tls' | 'not_tls' | 'more';

/** What a ClientHello asks for. */
export type ClientHello = {
  /** Server name in lower case, undefined where absent. */
  readonly sni: string | undefined;
  /** Application protocols in the client's order. */
  readonly alpn: readonly string[];
};
