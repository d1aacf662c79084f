import type { Problem } from './diagnostic.ts';
import { quote } from './schema.ts';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const MAX_JWKS = 512 * 1024;

/** SECURITY: whoever can change the answer on its way can make every user's token. */
export function checkJwksUri(value: string): Problem | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isPlain = url?.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url?.protocol !== 'https:' && !isPlain) {
    return {
      code: 'bad_value',
      message: `${quote(value)} is not an https address`,
      help: 'write `https://...`; plain http only to this machine, as in `http://127.0.0.1:8080/jwks.json`',
    };
  }
  if (url.username === '' && url.password === '') return undefined;
  return {
    code: 'bad_value',
    message:
      'the address holds a user name or password, which everybody who reads policy would know',
    help: 'keys are public: publish them where no password is needed',
  };
}

/** A JWKS in text, with at least one public key and none that is secret. */
export function checkJwks(value: string): Problem | undefined {
  const problem = (message: string): Problem => ({
    code: 'bad_value',
    message,
    help: 'write the issuer\'s JWKS as JSON in quotes: \'{"keys": [{"kty": "EC", ...}]}\'',
  });
  if (value.length > MAX_JWKS) return problem('the JWKS is larger than 512 KiB');
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return problem('the JWKS is not JSON');
  }
  const keys = (parsed as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0) return problem('the JWKS has no list `keys`');
  const isSecret = keys.some(
    (key) => typeof key === 'object' && key !== null && ('d' in key || 'k' in key),
  );
  if (!isSecret) return undefined;
  return problem(
    'the JWKS holds a private or symmetric key, which everybody who reads policy could sign with',
  );
}
