import assert from 'node:assert/strict';
import { decodeToken, isTokenAlgorithm } from '#token';
import { bytesOf, type FuzzTarget } from '../target.ts';

const PAYLOAD = 'eyJpc3MiOiJpIiwic3ViIjoicyJ9';

/** A token that can be read names an accepted algorithm, and its own text again is made of its parts. */
export const tokenTarget: FuzzTarget = {
  name: 'token',
  seeds: bytesOf(
    `eyJhbGciOiJFUzI1NiJ9.${PAYLOAD}.AAAA`,
    `eyJhbGciOiJub25lIn0.${PAYLOAD}.`,
    `eyJhbGciOiJIUzI1NiJ9.${PAYLOAD}.AAAA`,
    '..',
    'eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.AA',
  ),
  tokens: ['.', '=', '-', '_', 'e30', 'eyJhbGciOiJFUzI1NiJ9', 'eyJhbGciOiJub25lIn0', '\n', '\0'],
  run(bytes) {
    const text = bytes.toString('latin1');
    const read = decodeToken(text);
    if (!read.ok) return;
    const { algorithm, signed, signature } = read.value;
    assert.ok(isTokenAlgorithm(algorithm));
    assert.equal(`${signed.toString('latin1')}.${signature.toString('base64url')}`, text);
  },
};
