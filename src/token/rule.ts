/** Where in a request a token may stand. Header names are in lower case. */
export type TokenLocation =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'param'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

/** Where an issuer's keys come from. */
export type KeyOrigin =
  | { readonly kind: 'inline'; readonly jwks: string }
  | { readonly kind: 'remote'; readonly uri: string; readonly timeoutMs: number };

/** One accepted issuer: a `jwtRules` entry of a RequestAuthentication, with its defaults filled in. */
export type TokenRule = {
  /** `namespace/name` of the RequestAuthentication. */
  readonly policy: string;
  readonly issuer: string;
  /** Any of them will do; none are asked for if empty. */
  readonly audiences: readonly string[];
  readonly keys: KeyOrigin;
  readonly locations: readonly TokenLocation[];
  /** Whether the application gets the token itself. */
  readonly forwardOriginalToken: boolean;
  /** Gets the payload as it stands in the token, base64url. */
  readonly payloadHeader: string | undefined;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Claims that hold a list in one text, besides `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
  readonly clockSkewMs: number;
  /** Proof of possession by DPoP (RFC 9449): `require` refuses bearer tokens. */
  readonly dpop: 'off' | 'require';
  /** The token must be bound to the certificate of the connection (RFC 8705 section 3). */
  readonly certificateBound: boolean;
};
