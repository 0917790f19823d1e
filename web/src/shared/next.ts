/** Where to go after the login: only a path of this server, whatever somebody put into the address. */
export function safeNext(search: string): string {
  const next = new URLSearchParams(search).get('next') ?? ''
  // "//host" and "/\host" are addresses of another server.
  if (!next.startsWith('/') || next.startsWith('//') || next.includes('\\') || next.startsWith('/login'))
    return '/'
  return next
}

/** The login page that leads back here. */
export function loginAddress(path: string): string {
  return path === '/' ? '/login' : `/login?next=${encodeURIComponent(path)}`
}
