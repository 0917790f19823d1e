/** Shapes of the REST interface that more than one page reads. Fields may be added by the server at any time. */

export type Role = 'administrator' | 'operator' | 'chair' | 'member' | 'viewer' | 'kiosk'

/** GET /api/v1/sessions/current: who is logged in. */
export interface Me {
  id: string
  name: string
  display?: string
  role: Role
}

export interface Meeting {
  id: string
  title: string
  start?: string | null
  end?: string | null
  closed?: string | null
  /** People connected now. */
  live?: number
}

export interface Reason {
  code?: string
  en?: string
  zh?: string
}

export interface Channel {
  id: string
  name: string
  source?: string
  program?: number
  state?: 'connecting' | 'live' | 'lost' | 'refused' | string
  since?: string
  reason?: Reason | string | null
  playable?: 'direct' | 'needs_transcoding' | 'unplayable' | string
}

export const mayOperate = (role: Role): boolean => role === 'administrator' || role === 'operator'
export const mayCreateMeeting = (role: Role): boolean => mayOperate(role) || role === 'chair'
