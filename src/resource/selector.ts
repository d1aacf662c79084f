import type { Range } from './diagnostic.ts';
import { checkLabelKey, labelValue } from './names.ts';
import { type Context, defaulted, object, type Reader, recordOf } from './schema.ts';

/** The workloads of the resource's namespace that carry all of these labels. */
export type WorkloadSelector = { readonly matchLabels: Readonly<Record<string, string>> };

/** Reads a selector; Istio allows one without labels, which selects the whole namespace. */
export const readSelector: Reader<WorkloadSelector> = object('selector', {
  matchLabels: defaulted(recordOf(checkKey, labelValue), () => ({})),
});

function checkKey(key: string, at: Range, context: Context): void {
  if (!key.includes('*')) return checkLabelKey(key, at, context);
  context.report.error(at, {
    code: 'bad_wildcard',
    message: 'a selector takes no wildcards',
    help: 'name each label in full; without a selector, all workloads of the namespace are meant',
  });
}
