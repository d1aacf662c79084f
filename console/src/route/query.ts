/** The query string is where a view keeps its state, so that its address reproduces it. */

/** The query with some keys changed; undefined and empty values leave. Includes the `?`, or is empty. */
export function patchQuery(
  search: string,
  patch: Readonly<Record<string, string | undefined>>,
): string {
  const params = new URLSearchParams(search);
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || value === '') params.delete(key);
    else params.set(key, value);
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** An API path with its query; undefined and empty values are left out. */
export function apiPath(
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  return `${path}${patchQuery('', query)}`;
}
