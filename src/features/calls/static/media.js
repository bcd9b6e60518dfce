// Our own camera and microphone: both, or what there is.

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'user' }

/**
 * The stream, and which of our words says what is missing; empty when nothing can be had.
 * What comes after `signal` was aborted is stopped, and no more is asked for.
 */
export async function openMedia(signal) {
  for (const [constraints, missing] of [
    [{ audio: true, video: VIDEO }, undefined],
    [{ audio: true }, 'noCamera'],
  ]) {
    if (signal.aborted) break
    try {
      // Without HTTPS there are no devices at all.
      const stream = await navigator.mediaDevices.getUserMedia(constraints)
      if (signal.aborted) closeMedia(stream)
      return { stream, missing }
    } catch {
      // The next one asks for less.
    }
  }
  return { stream: new MediaStream(), missing: 'noMedia' }
}

export function closeMedia(stream) {
  for (const track of stream.getTracks()) track.stop()
}

/** A button that switches the tracks of one kind on and off. */
export function createSwitch(button, tracks) {
  button.disabled = tracks.length === 0
  const show = (isOn) => button.setAttribute('aria-pressed', String(isOn))
  show(tracks.length > 0)
  button.onclick = () => {
    const isOn = button.getAttribute('aria-pressed') !== 'true'
    for (const track of tracks) track.enabled = isOn
    show(isOn)
  }
}
