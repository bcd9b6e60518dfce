// Our own camera and microphone: both, or what there is.

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'user' }

/** The stream, and which of our words says what is missing; empty when nothing can be had. */
export async function openMedia() {
  for (const [constraints, missing] of [
    [{ audio: true, video: VIDEO }, undefined],
    [{ audio: true }, 'noCamera'],
  ]) {
    try {
      // Without HTTPS there are no devices at all.
      return { stream: await navigator.mediaDevices.getUserMedia(constraints), missing }
    } catch {
      // The next one asks for less.
    }
  }
  return { stream: new MediaStream(), missing: 'noMedia' }
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
