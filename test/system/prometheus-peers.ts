// Debian's Prometheus, its promtool, and the reference parser of OpenMetrics.
import { findProgram, finish } from './mesh.ts';

/** Debian's `prometheus` package: the server and promtool. */
export type Prometheus = { readonly server: string; readonly promtool: string };

/** Where they are; undefined where the package is not installed. */
export async function findPrometheus(): Promise<Prometheus | undefined> {
  const server = process.env['PROMETHEUS_BIN'] ?? (await findProgram('prometheus'));
  const promtool = process.env['PROMTOOL_BIN'] ?? (await findProgram('promtool'));
  return server === undefined || promtool === undefined ? undefined : { server, promtool };
}

/** What `promtool check metrics` says of a scrape in Prometheus' text format, line by line. */
export async function lint(promtool: string, body: string): Promise<readonly string[]> {
  const { stdout, stderr } = await finish([promtool, 'check', 'metrics'], body);
  return `${stdout}${stderr}`.split('\n').filter((line) => line.trim() !== '');
}

const PARSE = `import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(sum(len(family.samples) for family in parse(sys.stdin.read())))`;

/** How many samples the reference parser finds in an OpenMetrics scrape, or what it does not like. */
export async function parseOpenMetrics(body: string): Promise<number | string> {
  const { status, stdout, stderr } = await finish(['python3', '-c', PARSE], body);
  return status === 0 ? Number(stdout) : (stderr.trim().split('\n').at(-1) ?? '');
}

/** Whether Debian's `python3-prometheus-client` is there. */
export async function hasOpenMetricsParser(): Promise<boolean> {
  return (
    (await finish(['python3', '-c', 'import prometheus_client.openmetrics.parser'])).status === 0
  );
}
