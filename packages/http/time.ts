const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Nov 14, 2017 2:20:57 PM` in the server's zone: what every client of the original parses. */
export function formatTime(epochMs: number): string {
  const t = new Date(epochMs)
  const hours = t.getHours()
  const clock = `${hours % 12 === 0 ? 12 : hours % 12}:${twoDigits(t.getMinutes())}:${twoDigits(t.getSeconds())}`
  return `${MONTHS[t.getMonth()]} ${t.getDate()}, ${t.getFullYear()} ${clock} ${hours < 12 ? 'AM' : 'PM'}`
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
