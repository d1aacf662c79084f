// cli: what people type. One file a command; processes are composed by bin and handed in.
export type {
  AgentOptions,
  AuthorityOptions,
  BundleEndpointOptions,
  CaOptions,
  CliContext,
  ControlOptions,
  Processes,
  ProxyOptions,
  RunOptions,
  UpOptions,
} from './context.ts';
export { EXIT, ExitError } from './exit.ts';
export { runCli } from './program.ts';
export { asTyped, spokenName } from './spoken-name.ts';
export { VERSION } from './version.ts';
