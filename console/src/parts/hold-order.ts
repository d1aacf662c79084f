/**
 * The rows in the order their keys had before, new ones after them: what lies under the pointer
 * stays there while rows change. Rows that are gone leave.
 */
export function holdOrder<T>(
  previousKeys: readonly string[],
  rows: readonly T[],
  keyOf: (row: T) => string,
): T[] {
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  const held: T[] = [];
  for (const key of previousKeys) {
    const row = byKey.get(key);
    if (row === undefined) continue;
    held.push(row);
    byKey.delete(key);
  }
  return [...held, ...byKey.values()];
}
