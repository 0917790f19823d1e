import { useI18n } from 'vue-i18n'
import { ApiError } from '../../shared/api'
import { attempt, confirm } from '../act'
import { desk } from './calls'
import type { Schedule } from './plan'

/** Asks and deletes a schedule, with what it records now. Answers whether it is gone. */
export function useScheduleRemoval(): (schedule: Schedule) => Promise<boolean> {
  const { t } = useI18n()
  return async (old) => {
    const running = old.recording
    const what = running ? 'removeRunning' : old.rrule || old.match ? 'removeAll' : 'removeText'
    const title = t('schedule.removeTitle', { name: old.title })
    if (!(await confirm(title, t(`schedule.${what}`), t('remove'), t('cancel')))) return false
    return attempt(async () => {
      try {
        return await desk.removeSchedule(old.id, running)
      } catch (cause) {
        // It began to record while the question was on the screen.
        if (cause instanceof ApiError && cause.code === 'schedule_recording')
          return desk.removeSchedule(old.id, true)
        throw cause
      }
    }, t('schedule.removed'))
  }
}
