/** The database did not answer in the time that a question may take; the message says what to do about it. */
export class RecordsTooSlow extends Error {
  override readonly name = 'RecordsTooSlow';
}
