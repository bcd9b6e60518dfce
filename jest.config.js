// One configuration for every suite; `jest test/unit` and the like choose by folder.
/** @type {import('jest').Config} */
// biome-ignore lint/style/noDefaultExport: jest reads its configuration from the default export.
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testTimeout: 30_000,
}
