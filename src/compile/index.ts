// compile: verified resources in, what one workload enforces out; or all problems, and nothing changes.
export { compilePolicies, type PolicyInput } from './authorization-policy.ts';
export {
  type CallDiffInput,
  type ChangedCalls,
  diffCalls,
  judgeOf,
  type ServiceCallDiff,
  type SideJudge,
  type Verdict,
} from './call-diff.ts';
export { type CheckedRequest, type CheckInput, checkCall } from './check.ts';
export {
  IMPORT_DIFFERENCES,
  type ImportDifference,
  type ImportDifferenceCode,
  importDifferences,
} from './import-differences.ts';
export type { ResourceSet, ResourceSets } from './input.ts';
export { type ResolvedPeerMode, resolvePeerMode } from './peer-authentication.ts';
export {
  type Covered,
  type CoveredPolicy,
  measureCoverage,
  type PolicyCoverage,
} from './policy-coverage.ts';
export {
  type PolicyTestInput,
  type PolicyTestResult,
  parseCaller,
  runPolicyTest,
} from './policy-test.ts';
export {
  CallGroups,
  judgeRecorded,
  type RecordedCalls,
  type RecordedChange,
} from './recorded-calls.ts';
export { type SelectedWorkload, workloadLabels } from './selection.ts';
export { servingIdentities } from './service.ts';
export { parseServiceName } from './service-name.ts';
export { compileSnapshot, type SnapshotInput } from './snapshot.ts';
export { type ObservedCall, type SuggestedFor, type Suggestion, suggestPolicy } from './suggest.ts';
