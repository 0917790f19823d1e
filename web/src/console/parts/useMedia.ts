import { onBeforeUnmount, onMounted, ref, type Ref } from 'vue'

/** Whether the window is so: `(max-width: 700px)`. Belongs to the component that calls it. */
export function useMedia(query: string): Ref<boolean> {
  const list = matchMedia(query)
  const is = ref(list.matches)
  const follow = (): void => void (is.value = list.matches)
  onMounted(() => list.addEventListener('change', follow))
  onBeforeUnmount(() => list.removeEventListener('change', follow))
  return is
}
