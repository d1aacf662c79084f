// What we serve and export, in front of those it is for: promtool, Debian's Prometheus, and OpenMetrics' own parser.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { DEFAULT_SLOS, type PrometheusRule, prometheusRules } from '#alert';
import { createSelfSignedClient } from '#identity';
import { createProxyMetrics, createRecordedCall, expose } from '#telemetry';
import { agentFamilies } from '../../src/agent/agent-metrics.ts';
import { createCaMetrics } from '../../src/ca/metrics.ts';
import { answering } from './applications.ts';
import {
  curlFrom,
  finish,
  freePort,
  type Running,
  start,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import {
  findPrometheus,
  hasOpenMetricsParser,
  lint,
  parseOpenMetrics,
} from './prometheus-peers.ts';
import { REHEARSALS, type Rehearsal } from './prometheus-rehearsals.ts';
import { until } from './until.ts';

const found = await findPrometheus();
const skip = found === undefined ? "needs Debian's prometheus" : false;
const skipParser = (await hasOpenMetricsParser()) ? false : 'needs python3-prometheus-client';
// Istio's name, which its dashboards ask for; everything else is as Prometheus would have it.
const KNOWN =
  'istio_request_duration_milliseconds use base unit "seconds" instead of "milliseconds"';

const scratch = mkdtempSync(join(tmpdir(), 'palisade-prometheus-'));
let mesh: TestMesh | undefined;
let prometheus: Running | undefined;
before(async () => {
  if (found !== undefined) mesh = await startTestMesh();
});
after(async () => {
  await prometheus?.stop();
  await mesh?.close();
  rmSync(scratch, { recursive: true, force: true });
});

test('promtool takes the exported rules', { skip }, async () => {
  const exported = await mesh?.cli('alerts', 'export');
  const file = join(scratch, 'rules.yaml');
  writeFileSync(file, exported?.stdout ?? '');
  const checked = await finish([found?.promtool ?? '', 'check', 'rules', file]);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  assert.match(checked.stdout, /SUCCESS: \d{2} rules found/);
});

test('every rule fires when its cause is there, and not without it', { skip }, async () => {
  const rules = prometheusRules(DEFAULT_SLOS);
  const all = rules.groups.flatMap((group) => group.rules);
  assert.deepEqual(
    [...new Set(all.map(({ alert }) => alert))].toSorted(),
    [...new Set(REHEARSALS.map(({ alert }) => alert))].toSorted(),
  );
  writeFileSync(join(scratch, 'rules.yaml'), stringify(rules));
  // A file for each interval and alert, so that nothing is evaluated for nothing.
  const files = Map.groupBy(REHEARSALS, ({ interval, alert }) =>
    interval === undefined ? 'plain' : `${alert}-${interval}`,
  );
  const tests = Array.from(files, ([name, rehearsals]) => testFile(name, rehearsals, all));
  const tested = await finish([found?.promtool ?? '', 'test', 'rules', ...tests]);
  assert.equal(tested.status, 0, tested.stdout.slice(0, 4_000) + tested.stderr.slice(0, 4_000));
});

test('promtool and the OpenMetrics parser find nothing to say of any metrics', {
  skip,
}, async (t) => {
  for (const [name, write] of Object.entries(await expositions())) {
    assert.deepEqual(
      (await lint(found?.promtool ?? '', await write(false))).filter((line) => line !== KNOWN),
      [],
      name,
    );
    if (skipParser !== false) t.diagnostic(skipParser);
    else
      assert.ok(
        Number(await parseOpenMetrics(await write(true))) > 0,
        `${name}: ${await parseOpenMetrics(await write(true))}`,
      );
  }
});

test("Debian's Prometheus scrapes a running mesh and evaluates its rules", { skip }, async () => {
  assert.ok(mesh && found);
  const [web] = await Promise.all([
    mesh.run('web', ['sleep', '600']),
    mesh.run('orders', answering("s.end('ok')")),
  ]);
  await curlFrom(web, 'http://orders/');
  const points = JSON.parse((await mesh.cli('status', '-o', 'json')).stdout).enforcementPoints;
  const sidecars = points.flatMap(({ metricsUrl }: { metricsUrl: string | null }) =>
    metricsUrl === null ? [] : [new URL(metricsUrl).host],
  );
  assert.equal(sidecars.length, 2);
  const port = await freePort();
  writeFileSync(join(scratch, 'prometheus.yaml'), stringify(configuration(mesh, sidecars)));
  prometheus = start([
    found.server,
    `--config.file=${join(scratch, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(scratch, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const ask = async (query: string): Promise<readonly { value: [number, string] }[]> => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
    const answer = await fetch(url).catch(() => undefined);
    return answer?.ok === true ? ((await answer.json()) as QueryAnswer).data.result : [];
  };
  const told = prometheus.output;
  await until('all are scraped', async () => (await ask('up == 1')).length === 3, { told });
  const counted = async () => (await ask('sum(istio_requests_total) > 0')).length === 1;
  await until('calls are counted', counted, { told });
  assert.ok((await ask('palisade_slo_events_total')).length >= 9);
  assert.ok((await ask('palisade_handshakes_total{outcome="ok"}')).length > 0);
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/rules`);
  const { data } = (await answer.json()) as RulesAnswer;
  const health = data.groups.flatMap((group) => group.rules);
  const all = prometheusRules(DEFAULT_SLOS).groups.flatMap((group) => group.rules);
  assert.equal(health.length, all.length);
  const failed = health.filter((rule) => rule.health === 'err');
  assert.deepEqual(failed, []);
});

function configuration({ dataDir }: TestMesh, sidecars: readonly string[]): unknown {
  const settings = JSON.parse(readFileSync(join(dataDir, 'mesh.json'), 'utf8')) as { api: string };
  const reader = createSelfSignedClient({
    commonName: 'prometheus',
    nowMs: Date.now(),
    ttlMs: 600_000,
  });
  writeFileSync(join(scratch, 'reader.crt'), reader.certificatePem);
  writeFileSync(join(scratch, 'reader.key'), reader.privateKeyPem, { mode: 0o600 });
  const admins = join(dataDir, 'control', 'admins.json');
  const { fingerprint } = reader;
  const list = JSON.parse(readFileSync(admins, 'utf8')) as unknown[];
  writeFileSync(
    admins,
    JSON.stringify([...list, { name: 'prometheus', fingerprint, readOnly: true }]),
  );
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yaml'],
    scrape_configs: [
      {
        job_name: 'palisade-control',
        scheme: 'https',
        static_configs: [{ targets: [new URL(settings.api).host] }],
        tls_config: {
          cert_file: 'reader.crt',
          key_file: 'reader.key',
          insecure_skip_verify: true,
        },
      },
      { job_name: 'palisade-sidecars', static_configs: [{ targets: sidecars }] },
    ],
  };
}

type QueryAnswer = { readonly data: { readonly result: readonly { value: [number, string] }[] } };
type RulesAnswer = {
  readonly data: {
    readonly groups: readonly { readonly rules: readonly { readonly health: string }[] }[];
  };
};
type Write = (openMetrics: boolean) => Promise<string>;

/** The metrics of each kind of process, with samples whose labels are as awkward as they come. */
async function expositions(): Promise<Readonly<Record<string, Write>>> {
  const proxy = createProxyMetrics({
    workload: { service: 'orders', namespace: 'default', trustDomain: 'cluster.local' },
    clock: Date.now,
  });
  const edge = proxy.edge({
    reporter: 'destination',
    sourceId: 'spiffe://cluster.local/ns/default/sa/we"b\\\n',
    sourceService: 'we"b\\\n\u001b[2J',
    sourceNamespace: 'default',
    destinationId: null,
    destinationService: 'orders',
    destinationNamespace: 'default',
    protocol: 'http',
    mtls: true,
  });
  proxy.countCall(edge, { ...createRecordedCall({ json: '' }), status: 200, decisionUs: 40 });
  proxy.handshake('ok', 'inbound').value++;
  proxy.policyRefused('root_mismatch').value++;
  const ca = createCaMetrics();
  ca.answered('IssueX509Svid', 'ok');
  const now = {
    nowMs: 1,
    ready: true,
    connected: true,
    policySets: 2,
    certificateExpiresAt: 9,
    expiries: [],
    foreign: [],
  };
  return {
    proxy: async (openMetrics) => (await proxy.exposition(openMetrics)).body,
    ca: async (openMetrics) => (await expose(ca.families({ ...now, issued: 3 }), openMetrics)).body,
    agent: async (openMetrics) =>
      (await expose(agentFamilies({ ...now, workloads: 3 }), openMetrics)).body,
    control: (openMetrics) => scrapeControl(openMetrics),
  };
}

async function scrapeControl(openMetrics: boolean): Promise<string> {
  assert.ok(mesh);
  const { dataDir } = mesh;
  const settings = JSON.parse(readFileSync(join(dataDir, 'mesh.json'), 'utf8')) as { api: string };
  const tls = {
    key: readFileSync(join(dataDir, 'admin', 'client.key')),
    cert: readFileSync(join(dataDir, 'admin', 'client.crt')),
    rejectUnauthorized: false,
  };
  const headers = openMetrics ? { accept: 'application/openmetrics-text; version=1.0.0' } : {};
  return new Promise((resolve, reject) => {
    const outgoing = request(`${settings.api}/metrics`, { ...tls, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve(text));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** Writes the rules of these rehearsals, and for each a case with its cause and one without. */
function testFile(
  name: string,
  rehearsals: readonly Rehearsal[],
  all: readonly PrometheusRule[],
): string {
  const wanted = new Set(rehearsals.map(({ alert }) => alert));
  const rules = all.filter(({ alert }) => wanted.has(alert));
  const [interval = '1m'] = rehearsals.map((one) => one.interval);
  writeFileSync(join(scratch, `${name}.rules.yaml`), stringify({ groups: [{ name, rules }] }));
  const file = join(scratch, `${name}.tests.yaml`);
  const tests = rehearsals.flatMap((rehearsal) => casesOf(rehearsal, { rules, interval }));
  const content = { rule_files: [`${name}.rules.yaml`], evaluation_interval: interval, tests };
  writeFileSync(file, stringify(content));
  return file;
}

function casesOf(
  { alert, labels, severities, summary, at, cause, calm }: Rehearsal,
  of: { readonly rules: readonly PrometheusRule[]; readonly interval: string },
): readonly unknown[] {
  const firing = of.rules
    .filter((rule) => rule.alert === alert)
    .filter((rule) => severities?.includes(rule.labels['severity'] ?? '') ?? true);
  assert.ok(firing.length > 0, alert);
  const expected = firing.map((rule) => ({
    exp_labels: { ...rule.labels, ...labels },
    exp_annotations: { ...rule.annotations, summary: summary ?? rule.annotations['summary'] },
  }));
  const one = (what: string, series: Rehearsal['cause'], alerts: readonly unknown[]) => ({
    interval: of.interval,
    name: `${alert}: ${what}`,
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts: alerts }],
  });
  return [one('its cause', cause, expected), one('nothing of it', calm, [])];
}
