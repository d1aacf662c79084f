import type { UnknownRouteError } from '#client';
import { VERSION } from './version.ts';

/** A sentence and what to do about it. */
export type Skew = { readonly message: string; readonly help: string };

/** Says which of CLI and control plane is older; undefined where both are of one version, or one did not say. */
export function versionSkew(serverVersion: string | undefined, own = VERSION): Skew | undefined {
  if (serverVersion === undefined) return undefined;
  const order = compareVersions(serverVersion, own);
  if (order === 0) return undefined;
  if (order < 0) {
    return {
      message: `the control plane is version ${serverVersion}, older than this palisade (${own})`,
      help: `install ${own} where it runs and start it again, or use the palisade that it came with`,
    };
  }
  return {
    message: `this palisade is version ${own}, older than the control plane (${serverVersion})`,
    help: `install ${serverVersion} here, or use the palisade that the control plane came with`,
  };
}

/** What to tell of a route that the control plane does not have. */
export function unknownRouteSkew(error: UnknownRouteError, own = VERSION): Skew {
  const { route, server, serverVersion } = error;
  const skew = versionSkew(serverVersion, own);
  if (skew !== undefined) return { ...skew, message: `${skew.message}: it has no \`${route}\`` };
  if (serverVersion === undefined) {
    return {
      message: `what answers at \`${server}\` has no \`${route}\`, and does not say its version`,
      help: 'name the address of a control plane with --server, or see `palisade doctor`',
    };
  }
  return {
    message: `the control plane at \`${server}\` has no \`${route}\`, though it is version ${own} too`,
    help: 'one of both is another build of that version: install the same one here and there',
  };
}

/** Below 0 where `a` is older, by the precedence of Semantic Versioning 2.0.0, section 11. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (const [i, number] of left.core.entries()) {
    const apart = number - (right.core[i] ?? 0);
    if (apart !== 0) return apart;
  }
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let i = 0; i < Math.max(left.pre.length, right.pre.length); i += 1) {
    const apart = comparePre(left.pre[i], right.pre[i]);
    if (apart !== 0) return apart;
  }
  return 0;
}

function comparePre(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const [isNumber, other] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && other) return Number(a) - Number(b);
  if (isNumber !== other) return isNumber ? -1 : 1;
  return a < b ? -1 : 1;
}

function partsOf(version: string): { readonly core: number[]; readonly pre: readonly string[] } {
  const [plain = ''] = version.split('+');
  const [core = '', ...pre] = plain.split('-');
  return {
    core: core.split('.').map(Number),
    pre: pre.length === 0 ? [] : pre.join('-').split('.'),
  };
}
