import { computed, onBeforeUnmount, onMounted, ref, type Ref } from 'vue'
import { fit, type Fit } from './fit'

export const gap = 6
/** Caption and border of a tile; the same as in WallTile.vue. */
const around = 44
/** Below this width the wall is a list to scroll, as people do on a phone. */
const narrow = 700

/** The grid in which `count` tiles fill the rest of the window below the top of `grid`. */
export function useFit(grid: Ref<HTMLElement | null>, count: Ref<number>): Ref<Fit | null> {
  const width = ref(0)
  const height = ref(0)

  function measure(): void {
    const box = grid.value?.getBoundingClientRect()
    if (!box) return
    width.value = box.width
    height.value = innerHeight - (box.top + scrollY) - 10
  }

  const watcher = new ResizeObserver(measure)
  onMounted(() => {
    if (grid.value?.parentElement) watcher.observe(grid.value.parentElement)
    addEventListener('resize', measure)
    measure()
  })
  onBeforeUnmount(() => {
    watcher.disconnect()
    removeEventListener('resize', measure)
  })
  return computed(() =>
    width.value < narrow ? null : fit(count.value, width.value, height.value, gap, around),
  )
}
