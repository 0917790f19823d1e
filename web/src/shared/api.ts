import { storedLanguage } from './i18n'

/** An error of the server as it came: `code` is for programs, `message` for the person reading it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** What is wrong where: the place (`body.title`) and a sentence. */
    readonly fields: readonly { location: string; message: string }[] = [],
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

/** Codes made on this side, when no answer of the server exists. */
export const codeOffline = 'page.offline'
export const codeNotUnderstood = 'page.not_understood'

interface Problem {
  code?: string
  title?: string
  detail?: string
  errors?: { location: string; message: string }[]
}

/** The error in an answer that is one. */
export async function problemOf(response: Response): Promise<ApiError> {
  let problem: Problem = {}
  try {
    problem = (await response.json()) as Problem
  } catch {
    // A proxy in between answers in HTML; the status says enough.
  }
  return new ApiError(
    response.status,
    problem.code ?? `http.${response.status}`,
    problem.detail ?? problem.title ?? `HTTP ${response.status}`,
    problem.errors ?? [],
  )
}

/**
 * Calls the REST interface with the page's session cookie. Throws ApiError, with status 0 and codeOffline when the
 * server cannot be reached.
 */
export async function api<T>(
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const headers: Record<string, string> = {
    Accept: 'application/json, application/problem+json',
    'Accept-Language': storedLanguage(),
  }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(
      0,
      codeOffline,
      storedLanguage() === 'en' ? 'The server cannot be reached.' : '无法连接服务器。',
    )
  }
  if (!response.ok) throw await problemOf(response)
  if (response.status === 204) return undefined as T
  const text = await response.text()
  if (text === '') return undefined as T
  try {
    return JSON.parse(text) as T
  } catch {
    throw new ApiError(
      response.status,
      codeNotUnderstood,
      storedLanguage() === 'en' ? 'The answer of the server was not understood.' : '无法识别服务器的应答。',
    )
  }
}

/** Lists come bare or under one key (`items`, or the name of the collection); both are read. */
export function listOf<T>(answer: unknown, key: string): T[] {
  if (Array.isArray(answer)) return answer as T[]
  if (answer !== null && typeof answer === 'object') {
    const object = answer as Record<string, unknown>
    for (const name of [key, 'items', 'data']) {
      if (Array.isArray(object[name])) return object[name] as T[]
    }
  }
  return []
}
