/** What this page asks of the meeting. */
import type { Command } from '../signal/protocol'
import type { Session } from '../signal/session'

export type Commands = ReturnType<typeof commandsOf>

export function commandsOf(session: Session, complain: (error: unknown) => void) {
  const busy = new Set<string>()

  /** Rejects with CommandError. */
  async function send(command: Command): Promise<void> {
    await session.command(command)
  }

  /** For what is said again after the next welcome anyway. */
  function tell(command: Command): void {
    send(command).catch(() => undefined)
  }

  /** Does something once at a time, and complains where it fails. */
  function run(name: string, action: () => Promise<void>): void {
    if (busy.has(name)) return
    busy.add(name)
    void action()
      .catch(complain)
      .finally(() => busy.delete(name))
  }

  return { send, tell, run }
}
