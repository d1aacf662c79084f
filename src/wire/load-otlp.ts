import type * as OtlpModule from './otlp.ts';

/** OTLP's messages and services. */
export type Otlp = typeof OtlpModule;

/** Loads them when the first sink needs them, so that nobody else pays for them. */
export function loadOtlp(): Promise<Otlp> {
  return import('./otlp.ts');
}
