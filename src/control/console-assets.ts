import { readFile, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

/** A file of the console as it is served. */
export type Asset = {
  readonly body: Buffer;
  readonly contentType: string;
  readonly cacheControl: string;
};

/** The files of the built console. */
export type ConsoleAssets = {
  /** The file at a URL path, or for any path of the application its index; undefined if neither exists. */
  readonly find: (path: string) => Promise<Asset | undefined>;
};

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

// SECURITY: only names that a build makes; no dot can start one, so there is no way up and no hidden file.
const SAFE_PATH = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

/** Serves the files below `folder`. */
export function openConsoleAssets(folder: string): ConsoleAssets {
  async function read(path: string): Promise<Asset | undefined> {
    const contentType = CONTENT_TYPES[extname(path)];
    if (contentType === undefined || !SAFE_PATH.test(path)) return undefined;
    try {
      const root = await realpath(folder);
      const file = await realpath(join(root, path));
      // SECURITY: a link that leads out of the folder is not followed.
      if (!file.startsWith(root + sep) || !(await stat(file)).isFile()) return undefined;
      return { body: await readFile(file), contentType, cacheControl: cacheControlOf(path) };
    } catch {
      // There is no such file, which is what undefined says.
      return undefined;
    }
  }

  return {
    async find(path) {
      const asset = path === '/' ? undefined : await read(path);
      if (asset !== undefined) return asset;
      // A path that names a file gets no page in its place; every other is a view of the application.
      return extname(path) === '' ? read('/index.html') : undefined;
    },
  };
}

// What the build named by its digest never changes.
const NAMED_BY_DIGEST = /^\/assets\/.+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$/;

function cacheControlOf(path: string): string {
  return NAMED_BY_DIGEST.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
}
