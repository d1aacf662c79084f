/** The payload of a verified token: JSON, of which only own members are read. */
export type Claims = Readonly<Record<string, unknown>>;

/**
 * Claims as conditions read them: `scope`, `permission` and the claims named besides, written as text, become
 * lists, split on spaces, as Envoy's jwt_authn does for Istio: by their names at the top, dots and all. Done
 * once a token, so that no decision splits.
 */
export function normalizeClaims(payload: Claims, spaceDelimited: readonly string[] = []): Claims {
  const normal: Record<string, unknown> = { ...payload };
  for (const name of [...SPACE_DELIMITED, ...spaceDelimited]) {
    const value = normal[name];
    if (Object.hasOwn(payload, name) && typeof value === 'string') {
      normal[name] = value.split(' ').filter((word) => word !== '');
    }
  }
  return normal;
}

/** Appends the texts of the claim at `path`: itself if it is text, its texts if it is a list; nothing else counts. */
export function collectClaim(
  claims: Claims | undefined,
  path: readonly string[],
  into: string[],
): void {
  let value: unknown = claims;
  for (let i = 0; i < path.length; i++) {
    const name = path[i] ?? '';
    // SECURITY: `constructor` and the like are no claims of a token that has none of that name.
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return;
    if (Array.isArray(value)) return;
    value = (value as Claims)[name];
  }
  if (typeof value === 'string') into.push(value);
  else if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'string') into.push(item);
  }
}

/** A claim that is text; undefined where it is absent or anything else. */
export function claimText(claims: Claims | undefined, name: string): string | undefined {
  if (claims === undefined || !Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  return typeof value === 'string' ? value : undefined;
}

const SPACE_DELIMITED = ['scope', 'permission'] as const;
