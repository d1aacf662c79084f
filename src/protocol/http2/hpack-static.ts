// RFC 7541 appendix A: 61 fields; those without a value after the colon and space have none.
const TABLE = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

const LINES: readonly (readonly [string, string])[] = TABLE.split('\n').map((line) => {
  const [name = '', ...rest] = line.split(' ');
  return [name, rest.join(' ')];
});

/** Names of the static table; the field with index 1 is at 1. */
export const STATIC_NAMES: readonly string[] = ['', ...LINES.map(([name]) => name)];

/** Values of the static table, as `STATIC_NAMES`. */
export const STATIC_VALUES: readonly string[] = ['', ...LINES.map(([, value]) => value)];

/** Fields of the static table. */
export const STATIC_COUNT: number = LINES.length;

/** The first index that has a name. */
export const STATIC_NAME_INDEX: ReadonlyMap<string, number> = new Map(
  LINES.map(([name], at): [string, number] => [name, at + 1]).reverse(),
);

/** Indexes that have a name and a value, by name. */
export const STATIC_FIELD_INDEX: ReadonlyMap<string, ReadonlyMap<string, number>> = byName();

function byName(): Map<string, Map<string, number>> {
  const index = new Map<string, Map<string, number>>();
  for (const [at, [name, value]] of LINES.entries()) {
    const values = index.get(name) ?? new Map<string, number>();
    values.set(value, at + 1);
    index.set(name, values);
  }
  return index;
}
