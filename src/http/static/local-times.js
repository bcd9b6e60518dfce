// Shows each moment of a page in its reader's zone, as people of the page's language write it. Without this script it
// stands there in UTC.
const { lang } = document.documentElement
const format = new Intl.DateTimeFormat(lang === 'en' ? 'en-GB' : lang, {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
})

/** «г.» stays beside its year. */
export const localTime = (iso) => format.format(new Date(iso)).replace(' г.', '\u00a0г.')

/** Of the page, or of what was put into it. */
export function showLocalTimes(part = document) {
  for (const time of part.querySelectorAll('time[datetime]')) {
    const { dateTime } = time
    if (dateTime) time.textContent = localTime(dateTime)
  }
}

showLocalTimes()
