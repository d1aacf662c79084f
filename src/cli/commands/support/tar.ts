/** A file of an archive; `atMs` in Unix milliseconds. */
export type ArchivedFile = {
  readonly name: string;
  readonly content: Buffer;
  readonly atMs: number;
};

const BLOCK = 512;

/** A tar archive (POSIX.1-1988 ustar) of files of mode 0600 whose names have at most 100 bytes. */
export function tarOf(files: readonly ArchivedFile[]): Buffer {
  const blocks = files.flatMap((file) => [headerOf(file), file.content, paddingOf(file.content)]);
  // Two blocks of zeros end an archive.
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function headerOf({ name, content, atMs }: ArchivedFile): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`\`${name}\` is too long a name`);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write(octal(0o600, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(Math.floor(atMs / 1000), 12), 136);
  // The sum is computed with spaces in its place.
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
  return header;
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\u0000`;
}

function paddingOf(content: Buffer): Buffer {
  return Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
}
