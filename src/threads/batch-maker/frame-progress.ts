/** Whether a client that has begun a frame goes on with it. Pure: times are handed in. */
import { CLIENT_FRAME_BYTES_PER_S_MIN } from './limits.js'

/**
 * @param silentMs since its last byte
 * @param ageMs since we began to wait for the rest of the frame
 * @param bytes of the frame that came in that time
 * @param idleTimeoutMs `client_idle_timeout`
 */
export function frameProgress(
  silentMs: number,
  ageMs: number,
  bytes: number,
  idleTimeoutMs: number,
): 'ok' | 'frame-stalled' | 'frame-slow' {
  if (silentMs >= idleTimeoutMs) return 'frame-stalled'
  if (bytes < ((ageMs - idleTimeoutMs) / 1000) * CLIENT_FRAME_BYTES_PER_S_MIN) return 'frame-slow'
  return 'ok'
}
