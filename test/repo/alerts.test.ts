import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ALERT_NAMES,
  DEFAULT_SLOS,
  prometheusName,
  prometheusRules,
} from '../../src/alert/index.ts';
import { METRIC } from '../../src/telemetry/names.ts';
import { authoredFiles, textOf } from './tree.ts';

const RUNBOOKS = authoredFiles().filter((path) => path.startsWith('docs/runbooks/'));
const DASHBOARDS = authoredFiles().filter((path) => path.startsWith('deploy/grafana/'));
// What a dashboard or rule may name of a family, and what Prometheus itself has.
const NAMES = new Set(
  Object.values(METRIC).flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
);

test('every alert has its runbook, and every runbook its alert', () => {
  const named = RUNBOOKS.map((path) => path.replace(/^docs\/runbooks\/|\.md$/g, ''));
  assert.deepEqual(named.toSorted(), ALERT_NAMES.toSorted());
});

test('a runbook says what to look at, what to do, what not, and how it was rehearsed', () => {
  for (const path of RUNBOOKS) {
    const text = textOf(path);
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    assert.deepEqual(headings, ['Look', 'Do', 'Do not', 'Rehearsal'], path);
    const [, commands = ''] = /## Look\n```sh\n([\s\S]*?)\n```/.exec(text) ?? [];
    for (const command of commands.split('\n')) assert.match(command, LOOKS, path);
  }
});

// What a person runs first at night changes nothing.
const LOOKS =
  /^palisade (status|doctor|log|get|identity list|ca status|ca rotate --rehearse|audit verify|slo list|sink list|diff)( |$)/;

test('each alert is caused for real by a test that its runbook names', () => {
  const facts = 'src/alert/rehearsal.test.ts';
  const missing = RUNBOOKS.filter((path) => {
    const [, name = ''] = /([a-z-]+)\.md$/.exec(path) ?? [];
    const [, rehearsal = ''] = /^## Rehearsal\n([\s\S]*)$/m.exec(textOf(path)) ?? [];
    const files = [...rehearsal.matchAll(/`((?:src|test)\/[^`]+\.test\.ts)`/g)].map(
      ([, file]) => file,
    );
    for (const file of files) assert.ok(authoredFiles().includes(file ?? ''), `${path}: ${file}`);
    assert.ok(files.length > 0, path);
    // What only makes up the facts says nothing of how they come to be known.
    return !files.some((file) => file !== facts && textOf(file ?? '').includes(`'${name}'`));
  }).map((path) => path.replace(/^docs\/runbooks\/|\.md$/g, ''));
  assert.deepEqual(missing, []);
});

test('Prometheus has a rule for every alert, on metrics that exist', () => {
  const rules = prometheusRules(DEFAULT_SLOS).groups.flatMap((group) => group.rules);
  const named = new Set(rules.map(({ alert }) => alert));
  for (const name of ALERT_NAMES) assert.ok(named.has(prometheusName(name)), name);
  assert.deepEqual(
    rules.flatMap(({ expr }) => unknownIn(expr)),
    [],
  );
});

test('dashboards name only metrics that exist, and each panel says what it shows', () => {
  assert.ok(DASHBOARDS.length >= 4, 'dashboards are missing');
  for (const path of DASHBOARDS) {
    const { title, uid, panels } = JSON.parse(textOf(path));
    assert.ok(title && uid && panels.length > 3, path);
    for (const panel of panels) {
      if (panel.type === 'row') continue;
      assert.ok(panel.title && panel.description, `${path}: ${panel.title}`);
      for (const { expr } of panel.targets) {
        assert.deepEqual(unknownIn(expr), [], `${path}: ${panel.title}`);
        assert.match(expr, /\b(palisade|istio)_/, `${path}: ${panel.title}`);
      }
    }
  }
});

function unknownIn(expr: string): readonly string[] {
  const found = expr.match(/\b(?:palisade|istio)_[a-z_]+\b/g) ?? [];
  // Names of labels begin the same.
  return found.filter((name) => !NAMES.has(name) && name !== 'palisade_reason');
}
