import { expect, test } from 'vitest'
import { useDraft } from './draft'

/** Answers come when the test says so, as on a slow line. */
function slowLine() {
  const sent: string[] = []
  const answers: ((delivered: boolean) => void)[] = []
  const send = (text: string) => {
    sent.push(text)
    return new Promise<boolean>((resolve) => answers.push(resolve))
  }
  return { sent, answers, draft: useDraft(send) }
}

test('Enter pressed twice on a slow line sends a message once', async () => {
  const { sent, answers, draft } = slowLine()
  draft.text.value = '收到'
  const first = draft.submit()
  await draft.submit()
  answers[0]?.(true)
  await first
  expect(sent).toEqual(['收到'])
})

test('what is written while a message is on its way stays', async () => {
  const { answers, draft } = slowLine()
  draft.text.value = '收到'
  const first = draft.submit()
  draft.text.value = '马上办'
  answers[0]?.(true)
  await first
  expect(draft.text.value).toBe('马上办')
})

test('a message that was not delivered comes back into the field, before what was written since', async () => {
  const { answers, draft } = slowLine()
  draft.text.value = '收到'
  const first = draft.submit()
  answers[0]?.(false)
  await first
  expect(draft.text.value).toBe('收到')
  const second = draft.submit()
  draft.text.value = '马上办'
  answers[1]?.(false)
  await second
  expect(draft.text.value).toBe('收到 马上办')
})
