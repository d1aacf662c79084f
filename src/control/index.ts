// control: takes signed policy in, keeps it, and brings it to those who enforce it; shows what is enforced and what
// happens. The flow reads in this order: admit, store, distribute, enforcement. Nobody has to trust any of it.

export { createControl } from './control.ts';
export type { Control, ControlHealth, ControlOptions, ListenAddress } from './control-options.ts';
export { API_ERRORS, type ApiErrorCode } from './errors.ts';
