// The keys of a Redis that match, as they were at one moment, and back: what a snapshot does.
import { createClient, RESP_TYPES } from 'redis'

type Copied = readonly { readonly key: string; readonly dump: Buffer; readonly endsAtMs: number }[]

export async function openRedisCopier(url: string, pattern: string) {
  const client = createClient({
    url,
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  })
  client.on('error', () => {})
  await client.connect()
  return {
    async copy(): Promise<Copied> {
      const keys = (await client.keys(pattern)).map(String)
      const copied = await Promise.all(
        keys.map(async (key) => {
          const [dump, endsAtMs] = await Promise.all([client.dump(key), client.pExpireTime(key)])
          return { key, dump: dump as Buffer | null, endsAtMs: Math.max(0, endsAtMs) }
        }),
      )
      return copied.flatMap(({ dump, ...rest }) => (dump ? [{ ...rest, dump }] : []))
    },
    /** Nothing but this is there afterwards. */
    async restore(copied: Copied): Promise<void> {
      await Promise.all([
        client.flushAll(),
        ...copied.map(({ key, dump, endsAtMs }) => client.restore(key, endsAtMs, dump, { ABSTTL: true })),
      ])
    },
    close: () => client.destroy(),
  }
}

export type RedisCopier = Awaited<ReturnType<typeof openRedisCopier>>
export type RedisCopy = Copied
