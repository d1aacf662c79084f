import { createRequire } from 'node:module';
import type koffiApi from 'koffi';

/** The calls of a PKCS #11 module (version 2.40) that signing takes, as numbers and bytes. All throw `Pkcs11Error`. */
export type Pkcs11Module = {
  /** The slot of the token with this label. */
  readonly findSlot: (token: string) => number;
  /** A session for reading and writing. */
  readonly openSession: (slot: number) => bigint;
  readonly closeSession: (session: bigint) => void;
  /** As its user; a token that has a user already is as good. */
  readonly login: (session: bigint, pin: string) => void;
  /** A P-256 key pair that stays on the token; its public point, uncompressed. */
  readonly generate: (session: bigint, id: Uint8Array, label: string) => Buffer;
  /** Objects of an identifier: private keys alone, or whatever else there is. */
  readonly find: (session: bigint, id: Uint8Array, only?: 'private') => readonly bigint[];
  readonly destroy: (session: bigint, object: bigint) => void;
  readonly sign: (session: bigint, key: bigint, digest: Uint8Array) => Buffer;
  /** On a thread of its own. One session does one thing at a time. */
  readonly signLater: (session: bigint, key: bigint, digest: Uint8Array) => Promise<Buffer>;
  /** Forgets all that it knows of slots and tokens, and begins anew; no session lasts over it. */
  readonly restart: () => void;
};

/** What a module answered instead of CKR_OK. */
export class Pkcs11Error extends Error {
  readonly code: number;

  constructor(call: string, code: number) {
    super(`${call}: ${CODES.get(code) ?? `CKR 0x${code.toString(16)}`}`);
    this.code = code;
  }
}

const CODES = new Map([
  [0x05, 'general error (CKR 0x5)'],
  [0x06, 'function failed (CKR 0x6)'],
  [0x30, 'device error'],
  [0x31, 'device memory'],
  [0x32, 'the device was removed'],
  [0x60, 'no such key'],
  [0x82, 'no such object'],
  [0xa0, 'the PIN is wrong'],
  [0xa4, 'the PIN is locked'],
  [0xb0, 'the session was closed'],
  [0xb3, 'no such session'],
  [0xe0, 'no token in the slot'],
  [0x101, 'not logged in'],
]);
const ALREADY_LOGGED_IN = 0x100;
const ALREADY_INITIALIZED = 0x191;

// PKCS #11 2.40: the numbers of pkcs11t.h.
const CKM = { ecKeyPairGen: 0x1040, ecdsa: 0x1041 } as const;
const CKA = {
  class: 0x00,
  token: 0x01,
  private: 0x02,
  label: 0x03,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;
const SESSION_READ_WRITE = 0x04 | 0x02;
const USER = 1;
const PRIVATE_KEY = 3;
const OS_LOCKING = 2;
const P256 = Buffer.from('06082a8648ce3d030107', 'hex');
const YES = Buffer.from([1]);
const NO = Buffer.from([0]);

type TypeObject = ReturnType<typeof koffiApi.pointer>;
type Native = ((...args: unknown[]) => number) & {
  async: (...args: unknown[]) => void;
};
type Attribute = { readonly type: number; readonly value: Buffer; readonly length: number };

const opened = new Map<string, Pkcs11Module>();

/** Loads a module, once a process; throws where it cannot be loaded. */
export function openPkcs11Module(path: string): Pkcs11Module {
  let module = opened.get(path);
  if (module === undefined) {
    module = load(path);
    opened.set(path, module);
  }
  return module;
}

function load(path: string): Pkcs11Module {
  const call = bind(path);
  const initialize = () => {
    const initialized = call.C_Initialize({ ...NO_MUTEXES, flags: OS_LOCKING });
    if (initialized !== ALREADY_INITIALIZED) check('C_Initialize', initialized);
  };
  initialize();
  return {
    restart() {
      // Whatever it says: what counts is whether it begins anew.
      call.C_Finalize(null);
      initialize();
    },
    findSlot: (token) => findSlot(call, token),
    openSession(slot) {
      const handle = Buffer.alloc(8);
      const code = call.C_OpenSession(slot, SESSION_READ_WRITE, null, null, handle);
      check('C_OpenSession', code);
      return handle.readBigUInt64LE();
    },
    closeSession: (session) => check('C_CloseSession', call.C_CloseSession(session)),
    login(session, pin) {
      const bytes = Buffer.from(pin, 'utf8');
      const code = call.C_Login(session, USER, bytes, bytes.length);
      bytes.fill(0);
      if (code !== ALREADY_LOGGED_IN) check('C_Login', code);
    },
    generate: (session, id, label) => generate(call, session, { id: Buffer.from(id), label }),
    find: (session, id, only) => find(call, session, { id: Buffer.from(id), only }),
    destroy: (session, object) => check('C_DestroyObject', call.C_DestroyObject(session, object)),
    sign(session, key, digest) {
      const { signature, length } = room();
      check('C_SignInit', call.C_SignInit(session, ECDSA, key));
      check('C_Sign', call.C_Sign(session, digest, digest.length, signature, length));
      return signature;
    },
    async signLater(session, key, digest) {
      const { signature, length } = room();
      check('C_SignInit', await later(call.C_SignInit, session, ECDSA, key));
      const done = later(call.C_Sign, session, digest, digest.length, signature, length);
      check('C_Sign', await done);
      return signature;
    },
  };
}

const NO_MUTEXES = { create: null, destroy: null, lock: null, unlock: null, reserved: null };
const ECDSA = { mechanism: CKM.ecdsa, parameter: null, length: 0 };

type Calls = ReturnType<typeof bind>;

function bind(path: string) {
  // Loaded here and not above: only who keeps keys on a device pays for it.
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiApi;
  const library = koffi.load(path);
  const attribute = koffi.struct({ type: 'ulong', value: 'void *', length: 'ulong' });
  const attributes = koffi.pointer(attribute);
  const mechanism = koffi.pointer(
    koffi.struct({ mechanism: 'ulong', parameter: 'void *', length: 'ulong' }),
  );
  const mutexes = { create: 'void *', destroy: 'void *', lock: 'void *', unlock: 'void *' };
  const args = koffi.pointer(koffi.struct({ ...mutexes, flags: 'ulong', reserved: 'void *' }));
  const bytes = 'void *';
  const number = 'ulong';
  const native = (name: string, types: (string | TypeObject)[]): Native =>
    library.func(name, 'ulong', types) as unknown as Native;
  const template = [attributes, number];
  return {
    C_Initialize: native('C_Initialize', [args]),
    C_Finalize: native('C_Finalize', [bytes]),
    C_GetSlotList: native('C_GetSlotList', ['uint8_t', bytes, bytes]),
    C_GetTokenInfo: native('C_GetTokenInfo', [number, bytes]),
    C_OpenSession: native('C_OpenSession', [number, number, bytes, bytes, bytes]),
    C_CloseSession: native('C_CloseSession', [number]),
    C_Login: native('C_Login', [number, number, bytes, number]),
    C_GenerateKeyPair: native(
      'C_GenerateKeyPair',
      [[number, mechanism], template, template, [bytes, bytes]].flat(),
    ),
    C_GetAttributeValue: native('C_GetAttributeValue', [number, number, ...template]),
    C_FindObjectsInit: native('C_FindObjectsInit', [number, ...template]),
    C_FindObjects: native('C_FindObjects', [number, bytes, number, bytes]),
    C_FindObjectsFinal: native('C_FindObjectsFinal', [number]),
    C_DestroyObject: native('C_DestroyObject', [number, number]),
    C_SignInit: native('C_SignInit', [number, mechanism, number]),
    C_Sign: native('C_Sign', [number, bytes, number, bytes, bytes]),
  };
}

function findSlot(call: Calls, token: string): number {
  const count = Buffer.alloc(8);
  check('C_GetSlotList', call.C_GetSlotList(1, null, count));
  const slots = Buffer.alloc(8 * Number(count.readBigUInt64LE()));
  check('C_GetSlotList', call.C_GetSlotList(1, slots, count));
  let problem: number | undefined;
  for (let at = 0; at < slots.length; at += 8) {
    const slot = Number(slots.readBigUInt64LE(at));
    // CK_TOKEN_INFO begins with the label, 32 bytes that end in blanks; it is 160 to 208 bytes long.
    const info = Buffer.alloc(512);
    // Another token of the module that is broken or gone is no reason not to find ours.
    const code = call.C_GetTokenInfo(slot, info);
    if (code !== 0) problem ??= code;
    else if (info.toString('utf8', 0, 32).trimEnd() === token) return slot;
  }
  if (problem !== undefined) throw new Pkcs11Error('C_GetTokenInfo', problem);
  throw new Error(`no token is labelled \`${token}\``);
}

function generate(
  call: Calls,
  session: bigint,
  { id, label }: { readonly id: Buffer; readonly label: string },
): Buffer {
  const named = [attributeOf(CKA.id, id), attributeOf(CKA.label, Buffer.from(label, 'utf8'))];
  const stays = attributeOf(CKA.token, YES);
  const ofPublic = [stays, attributeOf(CKA.verify, YES), attributeOf(CKA.ecParams, P256), ...named];
  // SECURITY: the key may sign and nothing else, and the token never gives it out, not even wrapped.
  const ofPrivate = [
    stays,
    attributeOf(CKA.private, YES),
    attributeOf(CKA.sensitive, YES),
    attributeOf(CKA.extractable, NO),
    attributeOf(CKA.sign, YES),
    ...named,
  ];
  const how = { mechanism: CKM.ecKeyPairGen, parameter: null, length: 0 };
  const [publicKey, privateKey] = [Buffer.alloc(8), Buffer.alloc(8)];
  const pair = [ofPublic, ofPublic.length, ofPrivate, ofPrivate.length, publicKey, privateKey];
  check('C_GenerateKeyPair', call.C_GenerateKeyPair(session, how, ...pair));
  const point = Buffer.alloc(67);
  const asked = [attributeOf(CKA.ecPoint, point)];
  const code = call.C_GetAttributeValue(session, publicKey.readBigUInt64LE(), asked, 1);
  check('C_GetAttributeValue', code);
  // DER of an octet string around the uncompressed point; a few modules leave the frame out.
  return point[0] === 0x04 && point[1] === 0x41 ? point.subarray(2, 67) : point.subarray(0, 65);
}

function find(
  call: Calls,
  session: bigint,
  { id, only }: { readonly id: Buffer; readonly only: 'private' | undefined },
): readonly bigint[] {
  const kind = Buffer.alloc(8);
  kind.writeBigUInt64LE(BigInt(PRIVATE_KEY));
  const wanted = [
    attributeOf(CKA.id, id),
    ...(only === undefined ? [] : [attributeOf(CKA.class, kind)]),
  ];
  check('C_FindObjectsInit', call.C_FindObjectsInit(session, wanted, wanted.length));
  const [found, count] = [Buffer.alloc(8 * 4), Buffer.alloc(8)];
  const code = call.C_FindObjects(session, found, 4, count);
  check('C_FindObjectsFinal', call.C_FindObjectsFinal(session));
  check('C_FindObjects', code);
  return Array.from({ length: Number(count.readBigUInt64LE()) }, (_, index) =>
    found.readBigUInt64LE(8 * index),
  );
}

function attributeOf(type: number, value: Buffer): Attribute {
  return { type, value, length: value.length };
}

function room(): { readonly signature: Buffer; readonly length: Buffer } {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(64n);
  return { signature: Buffer.alloc(64), length };
}

function later(call: Native, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, code: number) =>
      error ? reject(error as Error) : resolve(code),
    );
  });
}

function check(call: string, code: number): void {
  if (code !== 0) throw new Pkcs11Error(call, code);
}
