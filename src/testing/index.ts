// testing: what tests of several layers share. Only tests may import it, and nothing here reaches a process that ships.

export { createFakeScheduler, type FakeScheduler } from './fake-scheduler.ts';
export { RECORDED_CALL } from './recorded-call.ts';
