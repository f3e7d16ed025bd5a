/** A failure of the lab itself: what was attempted, what came back, what to do about it. */
export class LabError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LabError'
  }
}
