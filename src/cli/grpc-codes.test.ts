import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGrpcStatus } from './flags.ts';
import { grpcName } from './grpc-codes.ts';

function check(text: string, expected: string | undefined): void {
  test(`--grpc-status ${text}: ${expected ?? 'is none'}`, () => {
    if (expected === undefined) assert.throws(() => parseGrpcStatus(text), /write a gRPC status/);
    else assert.equal(parseGrpcStatus(text), expected);
  });
}

check('14', '14');
check('UNAVAILABLE', '14');
check('unavailable', '14');
check('!OK', '!0');
check('>=13', '>=13');
check('!null', '!null');
check('200', undefined);
check('UNHAPPY', undefined);
check('', undefined);

test('a status that has no name is its number', () => {
  assert.equal(grpcName(16), 'UNAUTHENTICATED');
  assert.equal(grpcName(17), '17');
});
