import { fail, ok, type Result } from '#lib';
import { isRecord } from './shape.ts';

// Kinds and names are ASCII, so the order of keys is the order of their bytes.
const KEY = /^[A-Z][A-Za-z0-9]{0,62}\/[a-z0-9]([-a-z0-9._]{0,251}[a-z0-9])?$/;

/** Whether `key` is `Kind/name` as it may stand in a policy set. */
export function isResourceKey(key: unknown): key is string {
  return typeof key === 'string' && key.length <= 320 && KEY.test(key);
}

/** The namespace and key a resource itself claims; an error in words if it claims none. */
export function resourceIdentity(
  resource: unknown,
): Result<{ readonly namespace: string; readonly key: string }, string> {
  if (!isRecord(resource)) return fail('a resource is not an object');
  const metadata = resource['metadata'];
  if (!isRecord(metadata)) return fail('a resource has no metadata');
  const key = `${String(resource['kind'])}/${String(metadata['name'])}`;
  const namespace = metadata['namespace'];
  if (!isResourceKey(key)) return fail('a resource has no valid kind and name');
  if (typeof namespace !== 'string') return fail(`\`${key}\` names no namespace`);
  return ok({ namespace, key });
}
