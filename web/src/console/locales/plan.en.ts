import type zh from './plan.zh'

/** The plan of recordings, and why a meeting's programme is as it is. */
const en: typeof zh = {
  plan: {
    calendar: 'Calendar',
    all: 'All schedules',
    view: 'Shown as',
    views: { week: 'Week', month: 'Month', day: 'Day' },
    previous: { week: 'Week before', month: 'Month before', day: 'Day before' },
    next: { week: 'Week after', month: 'Month after', day: 'Day after' },
    today: 'Today',
    ics: 'iCal',
    icsHint: 'Save as a calendar file (.ics) for the calendar of a phone or computer',
    legend: 'Shown by state',
    legendHint: 'Click to hide or show',
    openDay: 'Show this day',
    more: '{count} more',
    nothing: 'Nothing is planned in this time',
    what: 'What',
    rule: 'When',
    nextTime: 'Next start',
    lastTime: 'Last result',
    enabled: 'On',
    state: 'State',
    anyChannel: 'All channels',
    once: '{time}, once',
    before: '{minutes} min earlier',
    after: '{minutes} min longer',
    none: { over: 'Over', notInGuide: 'Not in the guide at present' },
    noLast: 'None in the last month',
    off: 'Switch off and stop',
    offTitle: 'Switch “{name}” off?',
    offText: 'It is recording. The recording stops then, and what was recorded so far is kept.',
    isOff: 'Switched off',
    isOn: 'Switched on',
    search: 'Find a title, channel or rule',
    wanted: {
      all: 'All states',
      on: 'Switched on',
      off: 'Switched off',
      recording: 'Recording',
      trouble: 'Conflict or missed',
      over: 'Over',
    },
    count: '{count} schedules',
    empty: 'There are no schedules',
    emptyHint: 'Press “New schedule”, or click a programme on the duty desk.',
    noneFound: 'No schedule was found',
    noneFoundHint: 'Try another word, or choose all states.',
  },
  programme: {
    title: 'On air',
    why: {
      transcoded: 'The picture on air is not sent in H.264; the server is transcoding it.',
      picture_needs_ffmpeg:
        'The picture on air is not H.264 and ffmpeg is not installed on the server: outputs that carry only H.264 have sound alone.',
      picture_transcode_busy:
        'The picture on air is not H.264 and the server transcodes as much as it may: outputs that carry only H.264 have sound alone.',
      picture_transcode_failed:
        'The picture on air is not H.264 and its transcoder gives nothing: outputs that carry only H.264 have sound alone.',
      picture_unsupported:
        'The codec of the picture on air cannot be transcoded: outputs that carry only H.264 have sound alone.',
      sound_needs_ffmpeg:
        'ffmpeg is not installed on the server: only the dominant speaker is heard, not everybody who speaks.',
      sound_mixer_failed:
        'The encoder of the mixed sound ends again and again: only the dominant speaker is heard, not everybody who speaks.',
    },
    todo: {
      transcoded: 'Nothing needs to be done. If the server is busy, let that site use a browser with H.264.',
      picture_needs_ffmpeg:
        'Ask the administrator to install ffmpeg and restart the server, or let that site use a browser with H.264.',
      picture_transcode_busy:
        'Have fewer channels transcoded at once, or ask the administrator to raise transcode.max; or let that site use a browser with H.264.',
      picture_transcode_failed:
        'Ask the administrator to look for errors of ffmpeg in the log. It is tried again by itself.',
      picture_unsupported: 'Let that site use a browser that sends H.264 or VP8.',
      sound_needs_ffmpeg:
        'Ask the administrator to install ffmpeg and restart the server; then everybody who speaks is heard.',
      sound_mixer_failed:
        'Ask the administrator to look for errors of ffmpeg in the log; then stop recording and watching, and begin again.',
    },
  },
}

export default en
