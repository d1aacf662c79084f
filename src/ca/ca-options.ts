import type { Log } from '#telemetry';
import type { KeyDevice } from './keys/key-device.ts';
import type { UpstreamFiles } from './upstream.ts';

/** What an authority runs on. */
export type CaOptions = {
  /** Made by `initializeCa`. */
  readonly folder: string;
  /** Opens the keys where they are sealed, and seals them where they are not. */
  readonly passphrase?: string | undefined;
  /** Where issuing keys are made and stay. */
  readonly keyDevice?: KeyDevice | undefined;
  /** Who signs our intermediates. */
  readonly upstream?: UpstreamFiles | undefined;
  /** DSSE envelope of the trust root. */
  readonly trustRootFile: string;
  readonly trustDomain: string;
  /** Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** `host:port` of the control plane's gRPC; undefined: decide by what is on disk. */
  readonly control?: string | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** A clock that only counts, in milliseconds; the process's own unless a test has one. */
  readonly elapsed?: () => number;
  readonly log: Log;
  readonly softwareVersion?: string;
  /** Certificates an identity may ask for at once, and then each second. */
  readonly rateLimit?: { readonly burst: number; readonly perSecond: number };
  /** Certificates that one agent may ask for one identity; a burst of 20 and one a second unless told. */
  readonly identityRateLimit?: { readonly burst: number; readonly perSecond: number };
  /** JWT-SVIDs that one agent may ask of one identity; a burst of 100 and ten a second unless told. */
  readonly tokenRateLimit?: { readonly burst: number; readonly perSecond: number };
  /** How long a request waits for a registration that is still on its way; 1 s unless told. */
  readonly patienceMs?: number;
};
