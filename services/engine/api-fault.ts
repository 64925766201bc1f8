/** A refusal in the form that OpenAI gives it. */
export interface ApiFault {
  readonly status: number
  readonly message: string
  readonly type: string
  /** The field of the request that is at fault. */
  readonly param: string | null
  readonly code: string | null
}

/** 400: the request itself is wrong. */
export function badRequest(param: string | null, message: string): ApiFault {
  return { status: 400, message, type: 'invalid_request_error', param, code: null }
}

/** 404: no such model. */
export function unknownModel(name: string): ApiFault {
  return {
    status: 404,
    message: `The model \`${name}\` does not exist; GET /v1/models lists those that do.`,
    type: 'invalid_request_error',
    param: 'model',
    code: 'model_not_found',
  }
}

/** 413: the body is longer than the limit. */
export function bodyTooLarge(bytesMax: number): ApiFault {
  const message = `The request body is larger than ${bytesMax} bytes.`
  return {
    status: 413,
    message,
    type: 'invalid_request_error',
    param: null,
    code: 'body_too_large',
  }
}

/** 404 or 405: no such route, or not by this method. */
export function noRoute(status: 404 | 405, method: string, path: string): ApiFault {
  const message = `${method} ${path} is not served here.`
  return { status, message, type: 'invalid_request_error', param: null, code: null }
}

/** 429: the engine has no room for the request. */
export const overloaded: ApiFault = {
  status: 429,
  message: 'The engine is overloaded; try again later.',
  type: 'rate_limit_error',
  param: null,
  code: 'rate_limit_exceeded',
}

/** 500, also as an event inside a stream. */
export const engineFailed: ApiFault = {
  status: 500,
  message: 'The engine failed while it served the request.',
  type: 'server_error',
  param: null,
  code: null,
}

/** The `error` object of a response. */
export function faultBody({ message, type, param, code }: ApiFault): object {
  return { message, type, param, code }
}
