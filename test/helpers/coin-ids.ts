// 250 ids as CoinGecko really gives them, roughly by market capitalisation.

export const coinIds: readonly string[] = `
bitcoin ethereum tether ripple binancecoin solana usd-coin dogecoin cardano staked-ether tron wrapped-bitcoin
chainlink
avalanche-2 sui the-open-network shiba-inu stellar hedera-hashgraph polkadot weth bitcoin-cash leo-token uniswap
litecoin pepe
near ethena-usde wrapped-steth aptos internet-computer dai aave ethereum-classic crypto-com-chain mantle vechain
render-token monero bittensor arbitrum filecoin kaspa fantom algorand cosmos okb optimism celestia bonk
immutable-x injective-protocol blockstack theta-token the-graph worldcoin-wld first-digital-usd sei-network floki
lido-dao
jupiter-exchange-solana maker thorchain the-sandbox gala jasmycoin beam-2 pyth-network kucoin-shares
tezos iota eos flow quant-network bitcoin-cash-sv ondo-finance ethena raydium bitget-token bittorrent
conflux-token starknet pendle decentraland axie-infinity aioz-network helium elrond-erd-2 neo
dydx-chain arweave apecoin zcash ecash chiliz rocket-pool-eth mina-protocol nexo ronin
compound-governance-token curve-dao-token pancakeswap-token synthetix-network-token gnosis trust-wallet-token 1inch
loopring zilliqa enjincoin
kava basic-attention-token dash akash-network iotex celo ravencoin qtum wemix-token holotoken
ankr woo-network superfarm livepeer ocean-protocol fetch-ai singularitynet rocket-pool frax-share osmosis
yearn-finance sushi balancer uma band-protocol api3 civic status storj golem
harmony kusama waves decred siacoin digibyte nem icon lisk ontology
skale cartesi polymesh celer-network coti nervos-network oasis-network secret moonbeam astar
audius mask-network ssv-network blur lukso radix flare-networks vethor-token amp-token threshold-network-token
swipe reserve-rights-token origin-protocol power-ledger request-network metal dent funfair bancor numeraire
true-usd paxos-standard pax-gold tether-gold frax gemini-dollar magic-internet-money liquity-usd usdd nusd
gmx joe stargate-finance hashflow perpetual-protocol dodo venus benqi alpha-finance badger-dao
stepn gods-unchained illuvium star-atlas yield-guild-games alien-worlds myneighboralice big-time portal-2 pixels
mog-coin popcat dogwifcoin book-of-meme brett turbo memecoin-2 baby-doge-coin cat-in-a-dogs-world dogelon-mars
orbs syscoin vulcan-forged ergo verge komodo steem hive wax stratis
safepal energy-web-token constellation-labs velas zencash nano beldex telcoin arkham
ethereum-name-service manta-network dymension altlayer jito-governance-token wormhole tensor aevo-exchange
metis-token aerodrome-finance
coredaoorg mantra-dao virtual-protocol grass
`
  .trim()
  .split(/\s+/)
  .slice(0, 250)
