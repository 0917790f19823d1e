// A recording that is moved or stretched with the mouse, or an empty place that is drawn over.
import { onBeforeUnmount, onMounted, type Ref, shallowRef } from 'vue'
import type { TimeGridHandle } from '../guide/timegrid'
import { type Timeline, xOf } from '../guide/timeline'
import { dragged, type Grip, gripAt, selected, type Span } from './day'
import type { Occurrence } from './plan'
import type { Row } from './rows'
import { movable } from './schedule'

export interface Drag {
  readonly row: Row
  /** Null: an empty place. */
  readonly what: Occurrence | null
  readonly grip: Grip
  readonly pointer: number
  /** Time under the pointer at first. */
  readonly first: number
  readonly span: Span
  /** Moved far enough that it is no click. */
  readonly moved: boolean
}

/** Belongs to the component that calls it; `done` is told where a drag ended. */
export function useDrag(grid: Ref<TimeGridHandle | null>, line: () => Timeline, done: (drag: Drag) => void) {
  const drag = shallowRef<Drag | null>(null)
  /** A press that became a drag ends with a click that nobody meant. */
  let swallow = false

  const timeUnder = (event: MouseEvent): number => grid.value?.timeUnder(event) ?? line().from

  function pressBar(event: PointerEvent, row: Row, what: Occurrence): void {
    swallow = false
    // A finger scrolls; it opens the dialog, which can do the same.
    if (event.button !== 0 || event.pointerType === 'touch') return
    const at = (event.currentTarget as HTMLElement).getBoundingClientRect()
    const grip = gripAt(event.clientX - at.left, at.width)
    // What began on another day has its begin there.
    if (!movable(what, null).includes(grip) || (grip !== 'end' && what.start < line().from)) return
    begin(event, { row, what, grip, span: { start: what.start, end: what.end } })
  }

  function pressEmpty(event: PointerEvent, row: Row): void {
    swallow = false
    if (event.button !== 0 || event.pointerType === 'touch' || event.target !== event.currentTarget) return
    if (row.key === 'meetings') return
    const at = timeUnder(event)
    begin(event, { row, what: null, grip: 'end', span: selected(at, at) })
  }

  function begin(event: PointerEvent, what: Pick<Drag, 'row' | 'what' | 'grip' | 'span'>): void {
    drag.value = { ...what, pointer: event.pointerId, first: timeUnder(event), moved: false }
    const target = event.currentTarget as HTMLElement
    target.setPointerCapture(event.pointerId)
  }

  function follow(event: PointerEvent): void {
    const now = drag.value
    if (now === null || event.pointerId !== now.pointer) return
    const at = timeUnder(event)
    const far = now.moved || Math.abs(xOf(line(), at) - xOf(line(), now.first)) > 4
    if (!far) return
    const whole = { start: line().from, end: line().to }
    const span =
      now.what === null ? selected(now.first, at) : dragged(now.what, now.grip, at - now.first, whole)
    drag.value = { ...now, span, moved: true }
    grid.value?.follow(event)
  }

  function release(): void {
    const ended = drag.value
    drag.value = null
    if (!ended?.moved) return
    swallow = true
    done(ended)
  }

  function cancel(): void {
    if (drag.value?.moved) swallow = true
    drag.value = null
  }

  /** Whether a click is the end of a drag. A key's click follows no press. */
  const swallowed = (click: MouseEvent): boolean => swallow && click.detail !== 0

  /** Where a recording is drawn: as it is dragged, or as the server has it. */
  const spanOf = (x: Occurrence): Span => (drag.value?.what?.key === x.key ? drag.value.span : x)
  const isHeld = (x: Occurrence): boolean => drag.value?.what?.key === x.key && drag.value.moved
  /** What is drawn over an empty place of a row: one, or none. */
  const wantedIn = (row: Row): Span[] => {
    const now = drag.value
    return now?.what === null && now.moved && now.row.key === row.key ? [now.span] : []
  }

  const escape = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') cancel()
  }
  onMounted(() => addEventListener('keydown', escape))
  onBeforeUnmount(() => removeEventListener('keydown', escape))

  return { pressBar, pressEmpty, follow, release, cancel, swallowed, spanOf, isHeld, wantedIn }
}
