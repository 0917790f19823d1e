import { type Ref, ref } from 'vue'
import { api } from './api'

/** What this node says of itself. */
export interface About {
  /** What its operators call it; empty where nobody gave it a name. */
  readonly name: string
  /** 0: the protocol is off; https is null until the server has answered. */
  readonly ports: { readonly https: number | null; readonly rtsp: number; readonly rtmp: number }
}

/** The product's own name, which a node has that was given none. */
const unnamed = '通乡'
const about = ref<About>({ name: '', ports: { https: null, rtsp: 0, rtmp: 0 } })
let asked = false

/** Asks the server once for a page; until it answers the node has no name and no ports. */
export function useAbout(): Ref<About> {
  if (!asked) {
    asked = true
    api<{ name?: string; ports?: { https?: number; rtsp?: number; rtmp?: number } }>('GET', '/about').then(
      (a) => {
        const name = a.name === unnamed ? '' : (a.name ?? '')
        about.value = {
          name,
          ports: { https: a.ports?.https ?? 0, rtsp: a.ports?.rtsp ?? 0, rtmp: a.ports?.rtmp ?? 0 },
        }
      },
      () => (asked = false), // asked again by the next who wants it
    )
  }
  return about
}
