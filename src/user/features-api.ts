// What `import … from 'samovar'` gives to features in a folder of the user's own: all that they, and ours, know of the
// app. It is the running instance, in the source tree and in the bundle (own-packages.ts sees to that), so that a
// refusal thrown there is known here. docs/make-it-yours.md
import express, { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import type { Bus } from '../core/bus/bus.ts'
import type { Cache } from '../core/cache/cache.ts'
import type { Cached, CachePolicy } from '../core/cache/cached.ts'
import { defineKeys } from '../core/keys.ts'
import type { Queue } from '../core/queue/queue.ts'
import type { State } from '../core/state/state.ts'
import { AppError, invalidInput, notFound, notLoggedIn, tooMany, unavailable } from '../errors.ts'
import {
  type Context,
  defineFeature,
  type Feature,
  type Job,
  type Link,
  type Rule,
  type Setup,
  type User,
} from '../feature.ts'
import { rawBody } from '../http/admission/read-body.ts'
import { cachedRoute, sendCached } from '../http/cached-response.ts'
import { FetchFailed } from '../http/fetch-json.ts'
import { idempotent } from '../http/idempotency.ts'
import { languageOf, otherLanguageOf, type Page, sendOwnPage, serveFiles, siteName } from '../http/page.ts'
import { endpoint, parse } from '../http/parse.ts'
import { markPrivate } from '../http/private.ts'
import { isSameSecret } from '../lib/constant-time.ts'
import { Html, html } from '../lib/html.ts'
import { DAY, HOUR, MINUTE, pause, SECOND } from '../lib/time.ts'
import {
  answerWith,
  atLeast,
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
  provenAt,
} from '../lib/webhooks/webhook-scheme.ts'
import type { Records, Transaction } from '../sql/sql.ts'
import { flag, integer, names, parsedBy, positive, positiveIn, serverUrl, wordOf } from '../variables.ts'
import type { DeliveryHandler, UserDelivery, UserParts } from './guarded.ts'

export type {
  Bus,
  Cache,
  Cached,
  CachePolicy,
  Context,
  DeliveryHandler,
  Feature,
  Job,
  Link,
  Page,
  Queue,
  Records,
  Request,
  RequestHandler,
  Response,
  Rule,
  Setup,
  State,
  Transaction,
  User,
  UserDelivery,
  UserParts,
}
export {
  AppError,
  answerWith,
  atLeast,
  badSignature,
  bytesOfHex,
  cachedRoute,
  DAY,
  defineFeature,
  defineKeys,
  defineScheme,
  endpoint,
  express,
  FetchFailed,
  flag,
  HOUR,
  Html,
  headerOf,
  html,
  idempotent,
  integer,
  invalidInput,
  isSameSecret,
  isSignedBy,
  languageOf,
  MINUTE,
  markPrivate,
  names,
  notFound,
  notLoggedIn,
  otherLanguageOf,
  parse,
  parsedBy,
  pause,
  positive,
  positiveIn,
  provenAt,
  Router,
  rawBody,
  SECOND,
  sendCached,
  sendOwnPage,
  serveFiles,
  serverUrl,
  siteName,
  tooMany,
  unavailable,
  wordOf,
  z,
}
