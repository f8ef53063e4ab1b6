/**
 * A process that another of narval's started (`NARVAL_CHILD=1`, an IPC channel) ends when that one is gone, however that
 * ended: the channel's end is the one sign that even kill -9 gives.
 *
 * @param onGone called once, at once if the parent is gone already
 */
export function watchParent(onGone: () => void): void {
  if (process.env.NARVAL_CHILD !== '1') return
  if (!process.connected) {
    onGone()
    return
  }
  process.once('disconnect', onGone)
  // To watch is no reason to stay.
  process.channel?.unref()
}
