// A fake for tests of this layer: DER with something slipped in where a lenient reader would not look.
import { DerReader, TAG } from './der-read.ts';
import { encodeElement } from './der-write.ts';

const STOWAWAY = encodeElement(TAG.null);

/**
 * Every variant of `element` in which one constructed element, however deep, ends in a NULL that
 * does not belong there; lengths are right. `opaque` elements (names) are left as they are.
 */
export function withStowaways(element: Buffer, opaque: readonly Buffer[] = []): Buffer[] {
  const tag = element[0] ?? 0;
  // Values of extensions are DER inside an OCTET STRING.
  const isNested = (tag & 0x20) !== 0 || (tag === TAG.octetString && isDer(element));
  if (!isNested || opaque.some((each) => each.equals(element))) return [];
  const children = childrenOf(element);
  const deeper = children.flatMap((child, i) =>
    withStowaways(child, opaque).map((variant) => encodeElement(tag, ...children.with(i, variant))),
  );
  return [encodeElement(tag, ...children, STOWAWAY), ...deeper];
}

function childrenOf(element: Buffer): Buffer[] {
  const reader = new DerReader(new DerReader(element).body(element[0] ?? 0));
  const children: Buffer[] = [];
  while (!reader.atEnd()) children.push(reader.whole(reader.peek()));
  return children;
}

function isDer(element: Buffer): boolean {
  return [TAG.sequence, TAG.bitString, TAG.octetString].some(
    (tag) => new DerReader(element).enter(TAG.octetString).peek() === tag,
  );
}
