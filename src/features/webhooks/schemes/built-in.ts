// The schemes that are there without further code; docs/webhooks.md says what of each was tried.
import { cloudpayments } from './cloudpayments.ts'
import { cryptoPay } from './crypto-pay.ts'
import { github } from './github.ts'
import { shopify } from './shopify.ts'
import { slack } from './slack.ts'
import { standard } from './standard.ts'
import { stripe } from './stripe.ts'
import { tbank } from './tbank.ts'
import { telegram } from './telegram.ts'
import { yookassa } from './yookassa.ts'

export const builtInSchemes = [
  standard,
  stripe,
  github,
  telegram,
  slack,
  shopify,
  yookassa,
  tbank,
  cloudpayments,
  cryptoPay,
] as const
