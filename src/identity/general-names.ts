import { DerError, type DerReader } from './der-read.ts';
import { asciiText } from './der-values.ts';

/** The names of a SubjectAltName or of one list of a NameConstraints, by kind. */
export type GeneralNames = {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  readonly ips: readonly Uint8Array[];
  /** Whole Name elements. */
  readonly directories: readonly Uint8Array[];
  /** Tags of the names of all other kinds. */
  readonly others: ReadonlySet<number>;
};

/** Context tags of GeneralName (RFC 5280 section 4.2.1.6). */
export const NAME_TAG = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87 } as const;

/** No names at all. */
export const NO_NAMES: GeneralNames = {
  uris: [],
  dns: [],
  ips: [],
  directories: [],
  others: new Set(),
};

/** Reads GeneralNames until the reader ends; `step` may unwrap what holds each name. */
export function readGeneralNames(
  reader: DerReader,
  step: (reader: DerReader) => DerReader = (same) => same,
): GeneralNames {
  const uris: string[] = [];
  const dns: string[] = [];
  const ips: Uint8Array[] = [];
  const directories: Uint8Array[] = [];
  const others = new Set<number>();
  while (!reader.atEnd()) {
    const holder = step(reader);
    const tag = holder.peek();
    if (tag === NAME_TAG.uri) uris.push(asciiText(holder.body(tag)));
    else if (tag === NAME_TAG.dns) dns.push(asciiText(holder.body(tag)));
    else if (tag === NAME_TAG.ip) ips.push(holder.body(tag));
    else if (tag === NAME_TAG.directory) directories.push(readDirectory(holder));
    else if (tag >= 0x80 && (tag & 0x1f) <= 8) {
      holder.body(tag);
      others.add(tag);
    } else throw new DerError('bad general name');
    if (holder !== reader) holder.finish();
  }
  return { uris, dns, ips, directories, others };
}

function readDirectory(reader: DerReader): Uint8Array {
  const explicit = reader.enter(NAME_TAG.directory);
  const name = explicit.whole(0x30);
  explicit.finish();
  return name;
}
