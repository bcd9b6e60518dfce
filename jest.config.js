// One configuration for every suite; `jest test/unit` and the like choose by folder.
/** @type {import('jest').Config} */
// biome-ignore lint/style/noDefaultExport: jest reads its configuration from the default export.
export default {
  // Node's environment, in which process warnings fail.
  testEnvironment: '<rootDir>/test/helpers/warnings-fail.ts',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // No assertion: what takes five minutes has hung. Bounds in time are judged by test/helpers/control-clock.ts.
  testTimeout: 300_000,
}
