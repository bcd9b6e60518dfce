// The sources that the variables name, put together with the schemes of all features.
import { type AddressList, addressList } from '../../lib/webhooks/address-list.ts'
import type { WebhookScheme } from '../../lib/webhooks/webhook-scheme.ts'
import { schemeOf, schemeProblems, type WebhookSource } from '../../lib/webhooks/webhook-sources.ts'
import { type Others, serverUrl } from '../../variables.ts'
import type { Source } from './judge.ts'

type OfSources = ReadonlyMap<string, readonly string[]>

interface Values {
  readonly WEBHOOK_SECRETS: ReadonlyMap<string, WebhookSource>
  readonly WEBHOOK_ADDRESSES: OfSources
  readonly WEBHOOK_API_URLS: OfSources
  readonly WEBHOOK_CLOSED: readonly string[]
}

/** A sentence for each thing that is wrong with the values together, and with the schemes of the features. */
export function sourceProblems(values: Values, { features, variable }: Others): string[] {
  const sources = values.WEBHOOK_SECRETS
  const schemes = features.flatMap(({ schemes: own = [] }) => own)
  const isSet = (name: string) => variable(name) !== undefined
  const named = {
    WEBHOOK_CLOSED: values.WEBHOOK_CLOSED,
    WEBHOOK_ADDRESSES: [...values.WEBHOOK_ADDRESSES.keys()],
    WEBHOOK_API_URLS: [...values.WEBHOOK_API_URLS.keys()],
  }
  return [
    ...takenSchemes(features),
    ...schemeProblems(sources, { schemes, isSet }).map((problem) => `WEBHOOK_SECRETS ${problem}`),
    ...Object.entries(named).flatMap(([list, names]) =>
      names.every((name) => sources.has(name))
        ? []
        : [`${list} must name sources that WEBHOOK_SECRETS names`],
    ),
    ...[...values.WEBHOOK_ADDRESSES].flatMap(([name, entries]) => {
      const list = addressList(entries)
      return 'wrong' in list
        ? [`WEBHOOK_ADDRESSES of ${name}: number ${list.wrong} is no address and no network`]
        : []
    }),
    ...[...values.WEBHOOK_API_URLS].flatMap(([name, urls]) => urlProblems(name, urls)),
  ]
}

function urlProblems(name: string, urls: readonly string[]): string[] {
  const [url, ...others] = urls
  const parsed = serverUrl.safeParse(url)
  if (others.length > 0) return [`WEBHOOK_API_URLS of ${name} names more than one`]
  return parsed.success ? [] : [`WEBHOOK_API_URLS of ${name} ${parsed.error.issues[0]?.message}`]
}

function takenSchemes(features: Others['features']): string[] {
  const owners = new Map<string, string>()
  return features.flatMap(({ name: feature, schemes = [] }) =>
    schemes.flatMap(({ name }) => {
      const owner = owners.get(name)
      owners.set(name, owner ?? feature)
      return owner === undefined ? [] : [`the webhook scheme ${name} of the feature ${feature} is ${owner}’s`]
    }),
  )
}

export interface OpenSourcesOptions {
  schemes: readonly WebhookScheme[]
  /** The value of a variable of any feature. */
  variable: (name: string) => unknown
}

/** Of values in which there is no problem. */
export function openSources(
  values: Omit<Values, 'WEBHOOK_CLOSED'>,
  { schemes, variable }: OpenSourcesOptions,
): ReadonlyMap<string, Source> {
  const sources = [...values.WEBHOOK_SECRETS].flatMap(([name, source]): [string, Source][] => {
    const scheme = schemeOf(name, source, schemes)
    if (!scheme) return []
    const { secretVariable, addresses } = scheme
    const secrets =
      source.secrets.length === 0 && secretVariable ? [String(variable(secretVariable))] : source.secrets
    const from = listOf(values.WEBHOOK_ADDRESSES.get(name) ?? addresses)
    const apiUrl = values.WEBHOOK_API_URLS.get(name)?.[0] ?? scheme.apiUrl
    return [[name, { scheme, secrets, from, apiUrl: apiUrl === undefined ? undefined : folder(apiUrl) }]]
  })
  return new Map(sources)
}

function listOf(entries: readonly string[] | undefined): AddressList | undefined {
  if (entries === undefined) return undefined
  const list = addressList(entries)
  if ('wrong' in list) throw new TypeError(`number ${list.wrong} of the addresses of a scheme is none`)
  return list
}

/** So that a path goes below it, not in its last part's place. */
const folder = (url: string) => new URL(url.endsWith('/') ? url : `${url}/`)
