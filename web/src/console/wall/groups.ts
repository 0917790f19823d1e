/** The groups in which people think of channels, by what the names of channels begin or end with. */
export const groups = ['central', 'satellite', 'local'] as const
export type Group = (typeof groups)[number]

const central = /^(CCTV|CGTN|CETV|CNR|中央|央视|中国教育)/i
const satellite = /(卫视|卫星)/

export function groupOf(name: string): Group {
  if (central.test(name)) return 'central'
  return satellite.test(name) ? 'satellite' : 'local'
}
