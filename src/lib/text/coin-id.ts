// Ids of coins as CoinGecko gives them: mostly like `bitcoin`, but also `hive_dollar`, `boringdao-[old]`, `1move token`
// and ids in other scripts. Nothing is made of them but what an address and a list with commas cannot hold.
import { z } from 'zod'
import { isPlainText } from '../plain-text.ts'

const LONGEST = 100
/** A comma separates ids, a slash parts of an address, `.` and `..` are moves in it. */
const UNADDRESSABLE = /[,/\\]|^\.{1,2}$|^\s|\s$/

export const isCoinId = (id: string) =>
  id.length >= 1 && id.length <= LONGEST && !UNADDRESSABLE.test(id) && isPlainText(id)

export const coinId = z
  .string()
  .refine(
    isCoinId,
    `must be an id of CoinGecko, such as bitcoin: 1 to ${LONGEST} characters, no comma, no slash`,
  )
