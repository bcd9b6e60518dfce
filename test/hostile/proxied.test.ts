// Attacks from behind a trusted proxy, where the attacker may have as many addresses as an IPv6 network has.
import { proxied } from './attacks.ts'
import { attackAll } from './stage.ts'

attackAll({ env: { TRUST_PROXY: '1', ADMIN_TOKEN: 'the-token-of-the-admin' }, isProxied: true }, proxied)
