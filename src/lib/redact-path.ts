import { type RedactOptions, redactionOf, redactText } from './redact.ts';

/** A path by its segments, some of which are secret; `isPrefix`: any rest may follow. */
export type PathTemplate = {
  readonly segments: readonly TemplateSegment[];
  readonly isPrefix: boolean;
};

/** One segment: this text, any, or any and it is taken out as `name`. */
export type TemplateSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'secret'; readonly name: string };

/**
 * Takes out of a path the segments that the first matching template names, and whatever is recognized in the rest.
 * Returns the very same text where there is nothing.
 */
export function redactPath(
  path: string,
  templates: readonly PathTemplate[],
  options: RedactOptions,
): string {
  const all = { ...options, opaque: true };
  if (templates.length === 0) return redactText(path, all);
  const segments = path.slice(1).split('/');
  const template = templates.find((each) => matches(each, segments));
  if (template === undefined) return redactText(path, all);
  const redacted = segments.map((segment, i) => {
    const rule = template.segments[i];
    return rule?.kind === 'secret'
      ? redactionOf(rule.name, segment, options)
      : redactText(segment, all);
  });
  return `/${redacted.join('/')}`;
}

function matches({ segments, isPrefix }: PathTemplate, path: readonly string[]): boolean {
  if (isPrefix ? path.length < segments.length : path.length !== segments.length) return false;
  return segments.every((rule, i) => rule.kind !== 'literal' || rule.text === path[i]);
}
