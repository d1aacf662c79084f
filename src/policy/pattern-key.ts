import type { Pattern } from './ir.ts';

/** A text by which equal patterns of one field are equal. */
export function patternKey(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return `${pattern.kind} ${pattern.value}`;
    case 'present':
      return pattern.kind;
    case 'serviceAccount':
      return `${pattern.kind} ${pattern.namespace}/${pattern.account}`;
    case 'block':
      return `${pattern.kind} ${pattern.block.bytes.join('.')}/${pattern.block.bits}`;
    case 'port':
      return `${pattern.kind} ${pattern.port}`;
    case 'strength':
      return `${pattern.kind} ${pattern.rank}`;
    case 'issuerSubject':
      return `${pattern.kind} ${JSON.stringify([patternKey(pattern.issuer), patternKey(pattern.subject)])}`;
    case 'template':
    case 'pieces':
    case 'window':
      return `${pattern.kind} ${pattern.text}`;
  }
}
