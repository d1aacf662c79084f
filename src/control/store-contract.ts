import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store, StoredChange, StoredCommit } from './store.ts';

type Check = (claim: string, work: (store: Store) => void) => void;

/** What every store must do; run against each implementation, `open` making an empty one. */
export function storeContract(name: string, open: () => Store): void {
  const check: Check = (claim, work) => {
    test(`${name}: ${claim}`, () => {
      const store = open();
      try {
        work(store);
      } finally {
        store.close();
      }
    });
  };
  commitContract(check);
  readContract(check);
}

function commitContract(check: Check): void {
  check('an empty store has no heads, points or endpoints', (store) => {
    assert.deepEqual([store.heads(), store.points(), store.endpoints()], [[], [], []]);
    assert.equal(store.commit('default', 1), undefined);
    assert.deepEqual(store.resourcesAt('default', 9), []);
  });

  check('a commit and its changes are read back as stored', (store) => {
    const commit = commitOf('default', 1, null);
    put(store, commit, [added('Service/a', '{"a":1}')]);
    assert.deepEqual(plain(store.heads()), [commit]);
    assert.deepEqual(plain([store.commit('default', 1)]), [commit]);
    assert.deepEqual(plain(store.resourcesAt('default', 1)), [
      {
        key: 'Service/a',
        resource: '{"a":1}',
        source: 'text of Service/a',
        number: 1,
        author: 'ann',
        time: commit.time,
      },
    ]);
  });

  check('of two commits on one parent the second is refused and leaves nothing', (store) => {
    put(store, commitOf('default', 1, null), [added('Service/a', '1')]);
    put(store, commitOf('default', 2, 'hash-default-1'), [added('Service/b', '2')]);
    const late = { ...commitOf('default', 2, 'hash-default-1'), hash: 'other' };
    const refused = store.append(late, [added('Service/c', '3')]);
    assert.equal(refused.ok ? 'stored' : refused.error.code, 'parent_moved');
    assert.deepEqual(keys(store, 2), ['Service/a', 'Service/b']);
    assert.equal(store.commit('default', 2)?.hash, 'hash-default-2');
  });

  check('a gap in the numbers is refused', (store) => {
    put(store, commitOf('default', 1, null), []);
    const refused = store.append(commitOf('default', 3, 'hash-default-1'), []);
    assert.equal(refused.ok ? 'stored' : refused.error.code, 'parent_moved');
  });

  check('a set may begin with any number, as when it is brought back', (store) => {
    put(store, commitOf('default', 7, 'gone'), [added('Service/a', '1')]);
    assert.deepEqual(keys(store, 7), ['Service/a']);
  });
}

function readContract(check: Check): void {
  check('each version can be rebuilt, and what changed between two', (store) => {
    put(store, commitOf('default', 1, null), [added('Service/a', '1'), added('Service/b', '1')]);
    put(store, commitOf('default', 2, 'hash-default-1'), [
      { ...added('Service/a', '2'), change: 'changed' },
      { key: 'Service/b', resource: null, source: null, change: 'deleted' },
    ]);
    put(store, commitOf('default', 3, 'hash-default-2'), [added('Service/c', '3')]);
    put(store, commitOf('other', 1, null), [added('Service/a', 'x')]);
    assert.deepEqual(
      [keys(store, 1), keys(store, 2), keys(store, 3)],
      [['Service/a', 'Service/b'], ['Service/a'], ['Service/a', 'Service/c']],
    );
    assert.deepEqual(plain(store.changesBetween('default', 1, 3)), [
      { key: 'Service/a', resource: '2' },
      { key: 'Service/b', resource: null },
      { key: 'Service/c', resource: '3' },
    ]);
    assert.deepEqual(store.changesBetween('default', 3, 3), []);
  });

  check('history runs newest first, in pages', (store) => {
    put(store, commitOf('default', 1, null), [added('Service/a', '1')]);
    put(store, commitOf('default', 2, 'hash-default-1'), []);
    put(store, commitOf('default', 3, 'hash-default-2'), []);
    const first = store.history('default', { before: undefined, limit: 2 });
    assert.deepEqual(
      first.map((entry) => entry.number),
      [3, 2],
    );
    const [last] = store.history('default', { before: 2, limit: 2 });
    assert.deepEqual(plain(last?.changes), [{ key: 'Service/a', change: 'added' }]);
    assert.deepEqual(
      store.commitsAfter('default', 1).map((entry) => entry.number),
      [2, 3],
    );
  });

  check('presence is replaced node by node', (store) => {
    const endpoint = {
      node: 'n1',
      namespace: 'default',
      service: 'a',
      host: '127.0.0.1',
      port: 8080,
      hbonePort: 8081,
    };
    const both = { point: { node: 'n1', state: '{}' }, endpoints: [endpoint] };
    assert.ok(store.savePresence(new Map([['n1', both]])).ok);
    assert.deepEqual(plain(store.points()), [{ node: 'n1', state: '{}' }]);
    assert.deepEqual(plain(store.endpoints()), [endpoint]);
    assert.ok(store.savePresence(new Map([['n1', { point: undefined, endpoints: [] }]])).ok);
    assert.deepEqual([store.points(), store.endpoints()], [[], []]);
  });
}

/** A commit as a test stores it; its hash is `hash-NAMESPACE-NUMBER`. */
export function commitOf(namespace: string, number: number, parent: string | null): StoredCommit {
  return {
    namespace,
    number,
    hash: `hash-${namespace}-${number}`,
    parent,
    author: 'ann',
    time: `2026-01-0${number}T00:00:00.000Z`,
    expires: '2026-06-01T00:00:00.000Z',
    root: 'root',
    size: number,
    message: null,
    envelope: '{}',
    receivedAt: '2026-01-01T00:00:01.000Z',
    receivedFrom: 'local',
  };
}

function added(key: string, resource: string): StoredChange {
  return { key, resource, source: `text of ${key}`, change: 'added' };
}

function put(store: Store, commit: StoredCommit, changes: readonly StoredChange[]): void {
  assert.deepEqual(store.append(commit, changes), { ok: true, value: undefined });
}

function keys(store: Store, number: number): string[] {
  return store.resourcesAt('default', number).map((resource) => resource.key);
}

// node:sqlite's rows have no prototype, which deepEqual of node:assert/strict tells apart.
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
