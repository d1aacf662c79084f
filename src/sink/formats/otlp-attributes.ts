import { createHash } from 'node:crypto';

/**
 * An OTLP attribute as a whole message of protobuf-es, which then does not make one of it: a record has thirty, and making
 * them was half of what writing it down costs.
 */
export type Attribute = {
  readonly $typeName: 'opentelemetry.proto.common.v1.KeyValue';
  readonly key: string;
  readonly value: AttributeValue;
};

type AttributeValue = {
  readonly $typeName: 'opentelemetry.proto.common.v1.AnyValue';
  readonly value:
    | { readonly case: 'stringValue'; readonly value: string }
    | { readonly case: 'boolValue'; readonly value: boolean }
    | { readonly case: 'intValue'; readonly value: bigint }
    | { readonly case: 'doubleValue'; readonly value: number };
};

/** What may become an attribute; null and undefined become none. */
export type Attributable = string | number | boolean | null | undefined;

/** Attributes in the order given, without those that have no value. */
export function attributes(values: Readonly<Record<string, Attributable>>): Attribute[] {
  const list: Attribute[] = [];
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === undefined) continue;
    list.push({
      $typeName: 'opentelemetry.proto.common.v1.KeyValue',
      key,
      value: {
        $typeName: 'opentelemetry.proto.common.v1.AnyValue',
        value: attributeValue(value),
      },
    });
  }
  return list;
}

/** ISO 8601 as nanoseconds since 1970. */
export function nanosOf(iso: string): bigint {
  return BigInt(Date.parse(iso)) * 1_000_000n;
}

/** The bytes of a hexadecimal id, or none where it is not of that length. */
export function idBytes(hex: string | null | undefined, bytes: number): Uint8Array {
  const fits = hex?.length === bytes * 2 && /^[0-9a-f]+$/.test(hex);
  return fits ? Buffer.from(hex, 'hex') : new Uint8Array();
}

/** An id of eight bytes for a part of a span, the same each time. */
export function derivedSpanId(spanId: string, part: string): Uint8Array {
  return createHash('sha256').update(`${spanId} ${part}`).digest().subarray(0, 8);
}

function attributeValue(value: string | number | boolean): AttributeValue['value'] {
  if (typeof value === 'string') return { case: 'stringValue', value };
  if (typeof value === 'boolean') return { case: 'boolValue', value };
  return Number.isSafeInteger(value)
    ? { case: 'intValue', value: BigInt(value) }
    : { case: 'doubleValue', value };
}
