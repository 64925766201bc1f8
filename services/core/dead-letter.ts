/** Why a record could not be processed: the closed list of DeadLetter.reason. */
export type DeadLetterReason =
  | 'empty'
  | 'bad_magic'
  | 'unknown_schema'
  | 'wrong_schema'
  | 'truncated'
  | 'too_large'
  | 'batch_too_large'
  | 'invalid_value'
  | 'future_time'

/** What each reason means, for DeadLetter.detail and the documentation. */
export const DEAD_LETTER_DETAILS: Readonly<Record<DeadLetterReason, string>> = {
  empty: 'the record has no value',
  bad_magic: 'the value does not begin with the magic byte 0 and a schema id',
  unknown_schema: 'the schema registry does not know the id',
  wrong_schema: 'the id belongs to a schema that cannot be read as the one of this topic',
  truncated: 'the value ends before the schema does, or claims more items than it has bytes',
  too_large: 'the value is larger than the largest that is decoded',
  batch_too_large: 'the batch of the record holds more than is unpacked',
  invalid_value: 'a field is outside its limits, or bytes follow the end of the record',
  future_time: 'the event time is more than a minute ahead of the time of its append',
}
