/** A mistake in the command: told as it is, exit code 1. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The server could not be asked, or what it said makes no sense: exit code 3. */
export class ServerFailure extends Error {
  override name = 'ServerFailure'
}

export interface ApiErrorBody {
  readonly code: string
  readonly description?: string
  readonly details?: string
  readonly cause?: ApiErrorBody
}

/** The API was called and failed: exit code 3. */
export class ApiFailure extends Error {
  readonly body: ApiErrorBody
  readonly apiName: string

  constructor(apiName: string, body: ApiErrorBody) {
    super(body.details ?? body.code)
    this.name = 'ApiFailure'
    this.body = body
    this.apiName = apiName
  }
}
