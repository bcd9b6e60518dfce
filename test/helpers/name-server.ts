// A name server of the tests' own: knows the addresses it is given, or says nothing at all.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

// RFC 1035: a header of 12 bytes, then the name in parts of a length and so many letters, then type and class.
const HEADER_BYTES = 12
const TYPES: Readonly<Record<number, number>> = { 1: 4, 28: 6 } // A and AAAA
const ANSWER = Buffer.from([0xc0, HEADER_BYTES]) // the name that was asked for

export interface NameServer {
  readonly address: string
  /** How many questions came. */
  asked(): number
  close(): void
}

/** Addresses as bytes, by family; undefined: it never answers. */
export async function startNameServer(
  known: { readonly 4?: number[][]; readonly 6?: number[][] } | undefined,
): Promise<NameServer> {
  const socket = createSocket('udp4')
  let asked = 0
  socket.on('message', (question, { port, address }) => {
    asked += 1
    if (!known) return
    const nameEnd = question.indexOf(0, HEADER_BYTES)
    const type = question.readUInt16BE(nameEnd + 1)
    const found = known[TYPES[type] as 4 | 6] ?? []
    const header = Buffer.from(question.subarray(0, HEADER_BYTES))
    header.writeUInt16BE(0x8180, 2) // an answer, without an error
    header.writeUInt16BE(found.length, 6)
    header.writeUInt16BE(0, 10)
    const answers = found.map((bytes) =>
      Buffer.concat([ANSWER, head(type, bytes.length), Buffer.from(bytes)]),
    )
    socket.send(
      Buffer.concat([header, question.subarray(HEADER_BYTES, nameEnd + 5), ...answers]),
      port,
      address,
    )
  })
  socket.unref() // a test that fails does not close it
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked: () => asked,
    close: () => void socket.close(),
  }
}

function head(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(1, 2)
  bytes.writeUInt32BE(60, 4)
  bytes.writeUInt16BE(length, 8)
  return bytes
}
