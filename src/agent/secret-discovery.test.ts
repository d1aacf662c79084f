// Envoy's side of the socket, as raw gRPC.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  createGrpcClient,
  createMessage,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  SecretDiscoveryService,
  SecretSchema,
  SPIFFECertValidatorConfigSchema,
} from '#wire';
import {
  createFakeMesh,
  registration,
  resource,
  service,
  signSet,
  TRUST_DOMAIN,
} from './fake-mesh.ts';
import { readerOf, startWorld } from './fake-world.ts';
import { SECRET_TYPE } from './secrets.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const uid = process.getuid?.() ?? 0;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
const OWN = `spiffe://${TRUST_DOMAIN}`;

type World = Awaited<ReturnType<typeof startWorld>>;
type Request = Parameters<typeof createMessage<typeof DiscoveryRequestSchema>>[1];

function open(world: World) {
  const client = createGrpcClient(SecretDiscoveryService, { kind: 'unix', path: world.socketPath });
  const call = client.bidi(SecretDiscoveryService.method.streamSecrets);
  const reader = readerOf(call as never);
  return {
    ...reader,
    next: reader.next as () => Promise<DiscoveryResponse>,
    ask: (request: Request) => call.write(createMessage(DiscoveryRequestSchema, request)),
    close() {
      call.cancel();
      client.close();
    },
  };
}

function secretsOf(response: DiscoveryResponse) {
  assert.equal(response.typeUrl, SECRET_TYPE);
  return response.resources.map(({ typeUrl, value }) => {
    assert.equal(typeUrl, SECRET_TYPE);
    return fromBinary(SecretSchema, value);
  });
}

function pemOf(source: { specifier: { value?: Uint8Array | undefined } } | undefined): string {
  return Buffer.from(source?.specifier.value ?? []).toString();
}

test('an identity and its bundle come under the names that Envoys are configured with', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const envoy = open(world);
  const names = ['default', WEB, 'ROOTCA', OWN, 'ALL'];
  envoy.ask({ resourceNames: names, typeUrl: SECRET_TYPE });
  const secrets = secretsOf(await envoy.next());
  assert.deepEqual(
    secrets.map(({ name }) => name),
    names,
  );
  const [byDefault, byId, root, ownRoot, all] = secrets.map(({ type }) => type);
  assert.ok(byDefault?.case === 'tlsCertificate' && byId?.case === 'tlsCertificate');
  assert.match(pemOf(byDefault.value.certificateChain), /^-----BEGIN CERTIFICATE-----/);
  assert.match(pemOf(byDefault.value.privateKey), /^-----BEGIN PRIVATE KEY-----/);
  assert.equal(pemOf(byId.value.certificateChain), pemOf(byDefault.value.certificateChain));
  assert.ok(root?.case === 'validationContext' && ownRoot?.case === 'validationContext');
  assert.equal(pemOf(root.value.trustedCa), mesh.rootPem);
  assert.equal(pemOf(ownRoot.value.trustedCa), mesh.rootPem);
  assert.ok(all?.case === 'validationContext');
  const config = all.value.customValidatorConfig;
  assert.equal(config?.name, 'envoy.tls.cert_validator.spiffe');
  const { trustDomains } = fromBinary(
    SPIFFECertValidatorConfigSchema,
    config.typedConfig?.value ?? new Uint8Array(),
  );
  assert.deepEqual(
    trustDomains.map(({ name, trustBundle }) => [name, pemOf(trustBundle)]),
    [[TRUST_DOMAIN, mesh.rootPem]],
  );
  envoy.close();
  await world.end();
});

test('an acknowledgement is no question; a renewal, other names and a refusal are told apart', async () => {
  const world = await startWorld(mesh, { ttlMs: 4_000 });
  await world.register();
  const envoy = open(world);
  envoy.ask({ resourceNames: [WEB] });
  const first = await envoy.next();
  envoy.ask({ resourceNames: [WEB], responseNonce: first.nonce, versionInfo: first.versionInfo });
  // Old news: about an answer that is not the last.
  envoy.ask({ resourceNames: [], responseNonce: '99' });
  const renewed = await envoy.next();
  assert.notEqual(renewed.nonce, first.nonce);
  assert.notEqual(renewed.versionInfo, first.versionInfo);
  assert.notDeepEqual(renewed.resources, first.resources);
  const errorDetail = { code: 13, message: 'no' };
  envoy.ask({ resourceNames: [OWN], responseNonce: renewed.nonce, errorDetail });
  assert.deepEqual(
    secretsOf(await envoy.next()).map(({ name }) => name),
    [OWN],
  );
  envoy.close();
  await world.end();
});

test('attack: another identity, another process, and what is no secret', async () => {
  const world = await startWorld(mesh);
  const set = signSet(mesh, [
    service('web'),
    registration('web', [`unix:uid:${uid}`]),
    registration('vault', ['unix:uid:4294967294']),
  ]);
  await world.sync(set);
  const refused: [Request, number][] = [
    [{ resourceNames: [`spiffe://${TRUST_DOMAIN}/ns/shop/sa/vault`] }, status.PERMISSION_DENIED],
    [{ resourceNames: ['spiffe://other.org'] }, status.PERMISSION_DENIED],
    [{ resourceNames: [''] }, status.PERMISSION_DENIED],
    [{ typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' }, status.INVALID_ARGUMENT],
    [{ resourceNames: Array.from({ length: 257 }, () => WEB) }, status.INVALID_ARGUMENT],
  ];
  for (const [request, code] of refused) {
    const envoy = open(world);
    envoy.ask(request);
    assert.equal(await envoy.error(), code);
    envoy.close();
  }
  await world.sync(signSet(mesh, [service('web')], { parent: set }));
  const nobody = open(world);
  nobody.ask({ resourceNames: ['ROOTCA'] });
  assert.equal(await nobody.error(), status.PERMISSION_DENIED);
  nobody.close();
  await world.end();
});

test('a stream ends with its registration; without names everything comes; one call is enough', async () => {
  const world = await startWorld(mesh);
  const set = signSet(mesh, [
    service('web'),
    registration('web', [`unix:uid:${uid}`]),
    resource('Registration', 'b', {
      spiffeId: `${WEB}-b`,
      selectors: [`unix:uid:${uid}`],
      hint: 'internal',
    }),
  ]);
  await world.sync(set);
  const envoy = open(world);
  envoy.ask({});
  assert.deepEqual(
    secretsOf(await envoy.next()).map(({ name }) => name),
    [WEB, `${WEB}-b`, OWN],
  );
  const client = createGrpcClient(SecretDiscoveryService, { kind: 'unix', path: world.socketPath });
  const fetchSecrets = (names: string[]) =>
    client.unary(SecretDiscoveryService.method.fetchSecrets, { resourceNames: names });
  const [hinted] = secretsOf(await fetchSecrets(['internal']));
  assert.equal(hinted?.type.case, 'tlsCertificate');
  await assert.rejects(fetchSecrets(['nobody']), (error: ServiceError) => error.code === 7);
  await world.sync(signSet(mesh, [service('web')], { parent: set }));
  assert.equal(await envoy.error(), status.PERMISSION_DENIED);
  client.close();
  envoy.close();
  await world.end();
});
