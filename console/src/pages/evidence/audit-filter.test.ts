import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimeRange } from '../../route/time-range.ts';
import { auditCommand, auditPath, parseAuditFilter } from './audit-filter.ts';

const cases: { query: string; path: string; command: string }[] = [
  {
    query: '',
    path: '/audit?log=control&since=24h&limit=100',
    command: 'palisade audit search --log control --since 24h',
  },
  {
    query:
      '?log=ca&action=ca.issue&actor=ann&target=shop%2Forders&result=refused&q=serial%207&since=1h',
    path: '/audit?log=ca&action=ca.issue&actor=ann&target=shop%2Forders&result=refused&text=serial+7&since=1h&limit=100',
    command:
      "palisade audit search --log ca --action ca.issue --actor ann --target shop/orders --result refused --text 'serial 7' --since 1h",
  },
  {
    query: '?log=elsewhere&result=perhaps',
    path: '/audit?log=control&since=24h&limit=100',
    command: 'palisade audit search --log control --since 24h',
  },
];

for (const { query, path, command } of cases) {
  test(`the audit filter of \`${query}\` asks the API and the CLI the same`, () => {
    const params = new URLSearchParams(query);
    const range = parseTimeRange(params, '24h');
    assert.equal(auditPath(parseAuditFilter(params), range), path);
    assert.equal(auditCommand(parseAuditFilter(params), range), command);
  });
}
