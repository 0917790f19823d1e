import type zh from './password.zh'

const en: typeof zh = {
  change: 'Change password',
  present: 'Present password',
  next: 'New password',
  again: 'New password again',
  rule: '8 to 128 characters of at least three kinds: upper case, lower case, digits, others; without the user name.',
  show: 'Show passwords',
  save: 'Change',
  busy: 'Changing…',
  cancel: 'Cancel',
  close: 'Close',
  done: 'Your password was changed. Other devices were signed out; sign in there with the new one.',
  needAll: 'Fill in all three passwords.',
  differ: 'The new passwords differ.',
  wrong: 'The present password is wrong. Enter it again.',
}

export default en
