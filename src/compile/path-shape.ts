// So many different identifiers in one place make a template of it; fewer are named one by one.
const FEW = 3;
const IDENTIFIER =
  /^(?:\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|[0-9A-HJKMNP-TV-Z]{26})$/i;

/**
 * Says for each of some paths what a policy would call it: itself, or a template with `{*}` where at
 * least three different identifiers (numbers, UUIDs, long hex, ULIDs) were seen in otherwise equal paths.
 */
export function pathShapes(paths: ReadonlySet<string>): (path: string) => string {
  const byShape = Map.groupBy(paths, shapeOf);
  return (path) => {
    const shape = shapeOf(path);
    return shape !== path && (byShape.get(shape)?.length ?? 0) >= FEW ? shape : path;
  };
}

/** Istio's templates match no `[` and `]`, so a path with one stays as it is. */
function shapeOf(path: string): string {
  if (/[[\]{}*]/.test(path)) return path;
  return path
    .split('/')
    .map((segment) => (IDENTIFIER.test(segment) ? '{*}' : segment))
    .join('/');
}
