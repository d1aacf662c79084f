import type { ControlCore } from './core.ts';
import type { ControlIdentity } from './identity.ts';
import type { TrustAnchor } from './trust-root-file.ts';

/** What was started; undone in the other order. */
export type Closer = () => void | Promise<void>;

/** What both sides of a control plane serve from. */
export type Served = {
  readonly core: ControlCore;
  readonly identity: ControlIdentity;
  readonly pinned: TrustAnchor;
  readonly closers: Closer[];
};
