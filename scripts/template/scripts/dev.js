// npm run dev: Samovar on http://localhost:8080 with this folder, restarted when a file of it changes.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { node, samovar } from './samovar.js'

const folder = join(import.meta.dirname, '..')
spawn(node, ['--watch', join(samovar, 'src/main.ts')], {
  cwd: folder,
  env: { HOME_PAGE: 'own', SITE_NAME: 'NAME', ...process.env, USER_DIR: folder },
  stdio: 'inherit',
}).on('close', (code) => process.exit(code ?? 1))
