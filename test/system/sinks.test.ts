// Evidence at real receivers: an OpenTelemetry Collector, rsyslog over TLS, files that hold OCSF; one that is away while the
// mesh is killed.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  curlFrom,
  findProgram,
  finish,
  freePort,
  type Running,
  type Service,
  start,
  startTestMesh,
  startUp,
  type TestMesh,
} from './mesh.ts';
import { until } from './until.ts';

const collectorProgram = process.env['OTEL_COLLECTOR'];
const rsyslogd = await findProgram('rsyslogd');
const ocsfPython = process.env['OCSF_PYTHON'];
const noCollector = collectorProgram === undefined && 'OTEL_COLLECTOR names no collector';
const noRsyslog = rsyslogd === undefined && 'no rsyslogd (Debian: rsyslog, rsyslog-gnutls)';
const noPython = ocsfPython === undefined && 'OCSF_PYTHON names no Python with ocsf-json-schema';

const folder = mkdtempSync(join(tmpdir(), 'palisade-sinks-'));
const running: Running[] = [];
let mesh: TestMesh;
let web: Service;
let httpPort = 0;
let grpcPort = 0;
let syslogPort = 0;
let rsyslog: Running | undefined;
let certificate = '';

before(async () => {
  [httpPort, grpcPort, syslogPort] = await Promise.all([freePort(), freePort(), freePort()]);
  certificate = await makeCertificate();
  await startCollector();
  rsyslog = await startRsyslog();
  mesh = await startTestMesh();
  await mesh.run('orders', ['sh', '-c', 'exec python3 -m http.server "$PORT" --bind 127.0.0.1']);
  web = await mesh.run('web', ['sleep', '600']);
  await mesh.apply(resources());
});

after(async () => {
  await mesh.close();
  await Promise.all(running.map((process) => process.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function makeCertificate(): Promise<string> {
  const command =
    'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ' +
    '-subj /CN=logs.example -addext subjectAltName=DNS:logs.example';
  const out = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  const made = await finish([...command.split(' '), ...out]);
  assert.equal(made.status, 0, made.stderr);
  return readFileSync(join(folder, 'cert.pem'), 'utf8');
}

async function startCollector(): Promise<void> {
  if (collectorProgram === undefined) return;
  const config = join(folder, 'collector.yaml');
  writeFileSync(
    config,
    `receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:${httpPort}}, grpc: {endpoint: 127.0.0.1:${grpcPort}}}}}
exporters: {lines: {path: ${join(folder, 'otlp.jsonl')}}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [otlp], exporters: [lines]}
    traces: {receivers: [otlp], exporters: [lines]}
    metrics: {receivers: [otlp], exporters: [lines]}
`,
  );
  const collector = start([collectorProgram, config]);
  running.push(collector);
  await collector.printed(/Everything is ready/, 20_000);
}

async function startRsyslog(): Promise<Running | undefined> {
  if (rsyslogd === undefined) return undefined;
  const config = join(folder, 'rsyslog.conf');
  writeFileSync(
    config,
    `global(workDirectory="${folder}" maxMessageSize="64k" DefaultNetstreamDriver="gtls"
  DefaultNetstreamDriverCAFile="${folder}/cert.pem" DefaultNetstreamDriverCertFile="${folder}/cert.pem"
  DefaultNetstreamDriverKeyFile="${folder}/key.pem")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="${syslogPort}" address="127.0.0.1")
template(name="fields" type="string" string="%syslogfacility-text%.%syslogseverity-text%;%app-name%;%msgid%;%msg%\\n")
action(type="omfile" file="${folder}/syslog.txt" template="fields")
`,
  );
  const started = start([rsyslogd, '-n', '-f', config, '-i', join(folder, 'rsyslog.pid')]);
  running.push(started);
  await until('rsyslogd listens', () => connects(syslogPort));
  return started;
}

async function connects(port: number): Promise<boolean> {
  const done = await finish(['bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`]);
  return done.status === 0;
}

function resources(): string {
  const pem = certificate.trim().replaceAll('\n', '\n      ');
  const tls = `  tls:\n    serverName: logs.example\n    ca: |\n      ${pem}\n`;
  const sink = (name: string, spec: string) =>
    `---\napiVersion: palisade.dev/v1\nkind: Sink\nmetadata: {name: ${name}, namespace: palisade-system}\nspec:\n${spec}`;
  const everything =
    'evidence: {records: {}, traces: {}, audit: {}, alerts: {}, metrics: {interval: 1s}}';
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders-callers}
spec:
  selector: {matchLabels: {app: orders}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}], to: [{operation: {paths: [/]}}]}]
${sink('otlp-http', `  ${everything}\n  otlpHttp: {endpoint: 'http://127.0.0.1:${httpPort}', compression: gzip}\n`)}
${sink('otlp-grpc', `  ${everything}\n  otlpGrpc: {endpoint: 'http://127.0.0.1:${grpcPort}'}\n`)}
${sink('siem', `  evidence: {records: {verdicts: [deny], reporters: [destination]}, audit: {}}\n  syslog: {endpoint: 'tls://127.0.0.1:${syslogPort}'}\n  limits: {timeout: 2s}\n${tls}`)}
${sink('lake', '  evidence: {records: {}, audit: {}, alerts: {}}\n  format: ocsf\n  file: {name: ocsf.jsonl}\n')}
`;
}

const call = (path: string) => curlFrom(web, '--globoff', `http://orders${path}`);
const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
const syslogLines = () => linesOf(join(folder, 'syslog.txt'));

function untilArrived(what: string, holds: () => boolean): Promise<boolean> {
  return until(what, holds, { told: async () => (await mesh.cli('sink', 'list')).stdout });
}

test('a real OpenTelemetry Collector takes logs, traces and metrics, over HTTP and gRPC', {
  skip: noCollector,
}, async () => {
  assert.equal((await call('/')).status, 200);
  assert.equal((await call('/secret')).status, 403);
  const taken = () => linesOf(join(folder, 'otlp.jsonl')).join('\n');
  // Each record comes by both sinks, each span too.
  const times = (pattern: RegExp) => [...taken().matchAll(pattern)].length;
  await untilArrived('records by both', () => times(/denied GET \/secret/g) >= 2);
  await untilArrived(
    'spans by both',
    () => times(/"name":"GET orders"/g) >= 2 && times(/"name":"decision"/g) >= 2,
  );
  await untilArrived(
    'metrics by both',
    () => times(/"name":"palisade_control_records_total"/g) >= 2,
  );
  await untilArrived('audit by both', () => times(/palisade\.audit\.action/g) >= 2);
  for (const name of ['otlp-http', 'otlp-grpc']) {
    const tested = await mesh.cli('sink', 'test', name, '-o', 'json');
    assert.equal(tested.status, 0, tested.stdout + tested.stderr);
    const results = JSON.parse(tested.stdout) as { evidence: string; delivered: boolean }[];
    assert.deepEqual(
      results.map(({ evidence, delivered }) => [evidence, delivered]),
      ['records', 'audit', 'alerts', 'traces', 'metrics'].map((kind) => [kind, true]),
    );
  }
});

test('a real rsyslog takes CEF over TLS, and no caller forges a line of it', {
  skip: noRsyslog,
}, async () => {
  // What a request line lets through; the rest of what callers try is in the unit tests of the formats.
  const hostile = '/x=1&act=allow';
  assert.equal((await call(hostile)).status, 403);
  await untilArrived('the denial', () =>
    syslogLines().some((line) => line.includes('act\\=allow')),
  );
  const lines = syslogLines();
  for (const line of lines) {
    assert.match(
      line,
      /^local0\.(warning|notice|info);palisade;(access|audit);CEF:0\|Palisade\|Palisade\|/,
    );
  }
  const denial = lines.find((line) => line.includes('act\\=allow')) ?? '';
  assert.match(
    denial,
    /\|call\.denied\|request denied\|6\|rt=\d+ act=deny outcome=failure reason=policy_denied /,
  );
  assert.ok(lines.some((line) => line.includes('audit.policy.commit')));
});

test('events of real calls hold against the published schema of OCSF', {
  skip: noPython,
}, async () => {
  assert.equal((await call('/other')).status, 403);
  const path = join(mesh.dataDir, 'control', 'sinks', 'files', 'ocsf.jsonl');
  await untilArrived('both kinds', () => {
    const classes = new Set(linesOf(path).map((line) => JSON.parse(line).class_uid));
    return classes.has(4002) && classes.has(6003);
  });
  const script = new URL('./peers/check-ocsf.py', import.meta.url).pathname;
  const text = readFileSync(path, 'utf8');
  const checked = await finish([ocsfPython ?? '', script], text);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const broken = await finish(
    [ocsfPython ?? '', script],
    text.replaceAll('"severity_id":', '"severity":'),
  );
  assert.equal(broken.status, 1, 'the check finds what is wrong');
});

test('a server that is away: the mesh goes on, is killed, and what waited arrives once it is back', {
  skip: noRsyslog,
}, async () => {
  await rsyslog?.stop('SIGKILL');
  const before = syslogLines().length;
  const paths = Array.from({ length: 20 }, (_, i) => `/away-${i}`);
  for (const path of paths) assert.equal((await call(path)).status, 403);
  const list = async () => JSON.parse((await mesh.cli('sink', 'list', '-o', 'json')).stdout);
  await until('all of it waits', async () => {
    const siem = (await list()).find(({ name }: { name: string }) => name === 'siem');
    return siem.state !== 'ok' && siem.lag_records >= 20;
  });
  const listed = await mesh.cli('sink', 'list');
  assert.equal(listed.status, 1);
  assert.match(listed.stdout, /siem +syslog cef +(retrying|failing)/);
  await mesh.up.stop('SIGKILL');
  running.push(await startUp(mesh.dataDir));
  rsyslog = await startRsyslog();
  const arrived = () =>
    syslogLines()
      .slice(before)
      .flatMap((line) => /request=(\/away-\d+) /.exec(line)?.[1] ?? []);
  await untilArrived('all that waited', () => new Set(arrived()).size === paths.length);
  assert.deepEqual([...new Set(arrived())], paths);
});
