// What is said where the port cannot be opened.

/** A sentence for the code of a failed listen, or undefined where it is no matter of the port. */
export function portProblem(port: number, code: string | undefined): string | undefined {
  if (code === 'EADDRINUSE') return `port ${port} is taken by another program: stop it, or set PORT`
  if (code === 'EACCES')
    return (
      `port ${port} may not be opened here: set PORT to 1024 or above, such as 8080, or allow it to the container ` +
      '(docker run --sysctl net.ipv4.ip_unprivileged_port_start=0; started as root, --cap-add NET_BIND_SERVICE does it)'
    )
  return code?.startsWith('EADDR') ? `port ${port} cannot be opened (${code}): set PORT` : undefined
}
