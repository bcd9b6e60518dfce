// Attacks on the container as `docker run -p 8080:8080` starts it: nobody in front, no variable set that protects.
import { direct } from './attacks.ts'
import { attackAll } from './stage.ts'

// Set to nothing: the helper says 1 otherwise.
attackAll({ env: { TRUST_PROXY: '' }, isProxied: false }, direct)
