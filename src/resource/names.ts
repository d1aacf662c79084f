import type { Problem, Range } from './diagnostic.ts';
import { type Context, quote, type Reader, text } from './schema.ts';

const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether `value` is a DNS label (RFC 1123 2.1): lower-case letters, digits and `-`, at most 63. */
export function isDnsLabel(value: string): boolean {
  return LABEL.test(value);
}

/** Whether `value` is DNS labels joined by dots, at most 253 characters (RFC 1123 2.1). */
export function isDnsName(value: string): boolean {
  return value.length <= 253 && value.split('.').every(isDnsLabel);
}

/** Reads a name that becomes a part of host names and SPIFFE IDs. */
export const dnsLabel: Reader<string> = text((value) =>
  isDnsLabel(value)
    ? undefined
    : badName(value, 'lower-case letters, digits and `-`, at most 63 characters'),
);

/** Reads a name of DNS labels joined by dots. */
export const dnsName: Reader<string> = text((value) =>
  isDnsName(value)
    ? undefined
    : badName(value, 'lower-case letters, digits, `-` and `.`, at most 253 characters'),
);

/** Reports a label or annotation key that Kubernetes would refuse: `[PREFIX/]NAME`. */
export function checkLabelKey(key: string, at: Range, context: Context): void {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  if (LABEL_NAME.test(key.slice(slash + 1)) && (prefix === undefined || isDnsName(prefix))) return;
  context.report.error(at, {
    code: 'bad_value',
    message: `${quote(key)} is not a label's name`,
    help: 'write letters, digits, `-`, `_` and `.`, at most 63, after an optional DNS prefix and `/`',
  });
}

/** Reads a label's value, which may be empty. */
export const labelValue: Reader<string> = (node, context) => {
  if (node.kind === 'scalar' && node.value === '') return '';
  return nonEmptyLabelValue(node, context);
};

const nonEmptyLabelValue = text((value) =>
  LABEL_NAME.test(value)
    ? undefined
    : badName(value, 'letters, digits, `-`, `_` and `.`, at most 63 characters'),
);

/** A service account as authored, `NAME` or `NAMESPACE/NAME`; undefined if it is neither. */
export function splitAccount(
  value: string,
  ownNamespace: string,
): { readonly namespace: string; readonly account: string } | undefined {
  const parts = value.split('/');
  const [namespace = '', account = ''] = parts.length === 1 ? [ownNamespace, value] : parts;
  // An account may be a DNS name with dots, as a Kubernetes ServiceAccount's name may.
  return parts.length <= 2 && isDnsLabel(namespace) && isDnsName(account)
    ? { namespace, account }
    : undefined;
}

function badName(value: string, allowed: string): Problem {
  const candidate = value
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  const help =
    isDnsLabel(candidate) && candidate !== value
      ? `write for example \`${candidate}\``
      : `allowed are ${allowed}, beginning and ending with a letter or digit`;
  return { code: 'bad_value', message: `${quote(value)} is not a valid name`, help };
}
