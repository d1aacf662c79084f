import type { SinkTls } from '#resource';
import type { AddressGuard } from './address-guard.ts';
import type { SecretSource } from './secrets.ts';

/** What every way of delivering needs besides the receiver's own part of the resource. */
export type Surroundings = {
  readonly sink: string;
  readonly trustDomain: string;
  /** Of this program. */
  readonly version: string;
  readonly userAgent: string;
  /** Of this host, for formats that name it. */
  readonly hostname: string;
  /** Of the console, without a slash at its end; empty where there is none. */
  readonly consoleUrl: () => string;
  readonly tls: SinkTls | undefined;
  readonly secrets: SecretSource;
  readonly guard: AddressGuard;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Holds the sink's own files. */
  readonly folder: string;
  /** Name of the sink that writes the file which this one is to write; undefined where that is this one. */
  readonly fileOwner: () => string | undefined;
  /** Holds the files that `file` sinks write. */
  readonly filesFolder: string;
};
