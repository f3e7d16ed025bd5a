/** Lines of cells, all columns to the right. */
export function formatTable(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const line of lines)
    for (const [i, cell] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return lines.map((line) => line.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')).join('\n')
}
