import { isDeepStrictEqual } from 'node:util';

// Every single change one can make to a JSON value, for tests that say none of them goes unnoticed.

/** A copy of `value` per possible change: each leaf changed, each member and item removed, doubled or swapped. */
export function* mutationsOf(value: unknown): Generator<{ where: string; mutant: unknown }> {
  for (const { path, node } of nodesOf(value, [])) {
    for (const replacement of replacementsFor(node)) {
      if (isDeepStrictEqual(replacement, node)) continue;
      yield {
        where: `${path.join('.')} = ${short(replacement)}`,
        mutant: replaced(value, path, replacement),
      };
    }
    if (path.length > 0) yield { where: `${path.join('.')} removed`, mutant: removed(value, path) };
  }
}

type Path = readonly (string | number)[];

function* nodesOf(node: unknown, path: Path): Generator<{ path: Path; node: unknown }> {
  yield { path, node };
  if (Array.isArray(node)) {
    for (const [i, item] of node.entries()) yield* nodesOf(item, [...path, i]);
  } else if (typeof node === 'object' && node !== null) {
    for (const [key, item] of Object.entries(node)) yield* nodesOf(item, [...path, key]);
  }
}

function* replacementsFor(node: unknown): Generator<unknown> {
  if (typeof node === 'string') {
    yield '';
    yield `${node}x`;
    yield node.slice(1);
    for (const at of [0, node.length >> 1, node.length - 1]) {
      const code = node.charCodeAt(at);
      for (let bit = 0; bit < 7; bit++) {
        yield node.slice(0, at) + String.fromCharCode(code ^ (1 << bit)) + node.slice(at + 1);
      }
    }
  }
  if (typeof node === 'number') yield* [node + 1, node - 1, -node - 1, node + 0.5, String(node)];
  if (typeof node === 'boolean') yield !node;
  if (Array.isArray(node) && node.length > 0) {
    yield [...node, node.at(-1)];
    yield [...node].reverse();
  }
  yield null;
  yield {};
}

function replaced(value: unknown, path: Path, replacement: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return replacement;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[step] = replaced(copy[step], rest, replacement);
  return copy;
}

function removed(value: unknown, path: Path): unknown {
  const parent = path.slice(0, -1);
  const last = path.at(-1) ?? '';
  const container = parent.reduce(
    (node, step) => (node as Record<string | number, unknown>)[step],
    value,
  );
  const copy = structuredClone(container) as Record<string | number, unknown>;
  if (Array.isArray(copy)) copy.splice(Number(last), 1);
  else delete copy[last];
  return replaced(value, parent, copy);
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 60);
}
