import { isForbiddenTrailer } from '../http1/body.ts';
import { codeOfName, FIELD } from '../http1/fields.ts';
import { FIELD_KIND, LAST_PSEUDO } from './field-kinds.ts';
import type { HpackDecoder } from './hpack-decoder.ts';
import type { H2Fields, H2RequestHead, H2ResponseHead, Http2Error } from './messages.ts';

/** A refused head: the stream is malformed (RFC 9113 section 8.1.1). */
export type Malformed = { readonly error: Http2Error };

/** The block last decoded as the head of a request (RFC 9113 section 8.3.1). */
export function checkRequest(block: HpackDecoder): H2RequestHead | Malformed {
  const head = readFields(block);
  if ('error' in head) return head;
  const method = head.pseudo[FIELD_KIND.METHOD];
  const scheme = head.pseudo[FIELD_KIND.SCHEME];
  const path = head.pseudo[FIELD_KIND.PATH];
  const named = head.pseudo[FIELD_KIND.AUTHORITY];
  if (method === undefined || method === '' || head.pseudo[FIELD_KIND.STATUS] !== undefined) {
    return BAD_PSEUDO;
  }
  // SECURITY: with two hosts, policy and application could each take another one.
  if (named !== undefined && head.host !== undefined && named !== head.host) return HOST_MISMATCH;
  const authority = named ?? head.host;
  if (method === 'CONNECT') {
    // RFC 9113 section 8.5.
    if (scheme !== undefined || path !== undefined || !named) return BAD_PSEUDO;
  } else if (!scheme || !path) return BAD_PSEUDO;
  const { fields, contentLength } = head;
  return { method, scheme, authority, path, fields, contentLength };
}

/** The block last decoded as the head of a response (RFC 9113 section 8.3.2). */
export function checkResponse(block: HpackDecoder): H2ResponseHead | Malformed {
  const head = readFields(block);
  if ('error' in head) return head;
  const status = head.pseudo[FIELD_KIND.STATUS];
  const isAlone =
    head.pseudo[FIELD_KIND.METHOD] === undefined &&
    head.pseudo[FIELD_KIND.SCHEME] === undefined &&
    head.pseudo[FIELD_KIND.AUTHORITY] === undefined &&
    head.pseudo[FIELD_KIND.PATH] === undefined;
  // RFC 9113 section 8.6: 101 does not exist in HTTP/2.
  if (status === undefined || !isAlone || !/^[1-5]\d\d$/.test(status) || status === '101') {
    return BAD_PSEUDO;
  }
  return { status: Number(status), fields: head.fields, contentLength: head.contentLength };
}

/**
 * The block last decoded as trailers: no pseudo-header fields (RFC 9113 section 8.1). Those of a
 * response may have what only sidecars say: it was another one's, or is stripped by its reader.
 */
export function checkTrailers(block: HpackDecoder, isResponse: boolean): H2Fields | Malformed {
  const fields: string[] = [];
  for (let at = 0; at < block.count; at++) {
    const kind = block.kinds[at] as number;
    // SECURITY: what frames or routes a message must not come after it was judged.
    if (kind !== FIELD_KIND.OTHER) return fieldError(kind) ?? { error: 'h2_bad_trailers' };
    const name = block.names[at] as string;
    const code = codeOfName(name);
    const isFine = code === FIELD.OTHER || (isResponse && code === FIELD.PALISADE);
    if (!isFine || isForbiddenTrailer(name)) {
      return { error: 'h2_bad_trailers' };
    }
    fields.push(name, block.values[at] as string);
  }
  return fields;
}

const BAD_PSEUDO: Malformed = { error: 'h2_bad_pseudo_field' };
const HOST_MISMATCH: Malformed = { error: 'h2_host_mismatch' };
const REPEATED: Malformed = { error: 'h2_repeated_field' };

type ReadFields = {
  /** By `FIELD_KIND`. */
  readonly pseudo: (string | undefined)[];
  readonly fields: string[];
  readonly host: string | undefined;
  readonly contentLength: number;
};

function readFields(block: HpackDecoder): ReadFields | Malformed {
  const pseudo: (string | undefined)[] = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ];
  const fields: string[] = [];
  let host: string | undefined;
  let contentLength = -1;
  for (let at = 0; at < block.count; at++) {
    const kind = block.kinds[at] as number;
    const name = block.names[at] as string;
    const value = block.values[at] as string;
    if (kind !== FIELD_KIND.OTHER && kind < LAST_PSEUDO) {
      // Once each, before all other fields.
      if (pseudo[kind] !== undefined || fields.length > 0 || host !== undefined) return BAD_PSEUDO;
      pseudo[kind] = value;
      continue;
    }
    if (kind === FIELD_KIND.HOST) {
      if (host !== undefined) return REPEATED;
      host = value;
      continue;
    }
    if (kind === FIELD_KIND.CONTENT_LENGTH) {
      if (contentLength >= 0) return REPEATED;
      // RFC 9110 section 8.6, without lists; leading zeros are octal to some.
      if (!/^(?:0|[1-9]\d{0,14})$/.test(value)) return { error: 'h2_bad_content_length' };
      contentLength = Number(value);
    } else if (kind !== FIELD_KIND.OTHER && !(kind === FIELD_KIND.TE && value === 'trailers')) {
      return fieldError(kind) ?? { error: 'h2_connection_field' };
    }
    fields.push(name, value);
  }
  return { pseudo, fields, host, contentLength };
}

function fieldError(kind: number): Malformed | undefined {
  if (kind === FIELD_KIND.BAD_NAME) return { error: 'h2_bad_field_name' };
  if (kind === FIELD_KIND.BAD_VALUE) return { error: 'h2_bad_field_value' };
  if (kind === FIELD_KIND.CONNECTION || kind === FIELD_KIND.TE)
    return { error: 'h2_connection_field' };
  return kind <= LAST_PSEUDO && kind !== FIELD_KIND.OTHER ? BAD_PSEUDO : undefined;
}
