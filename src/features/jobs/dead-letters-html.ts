// The page of dead letters, with a button for each: forms only, no script.
import type { DeadLetter } from '../../core/queue/queue.ts'
import { otherLanguageOf, type Page, type PageLanguage } from '../../http/page.ts'
import { timeHtml } from '../../http/site/time-html.ts'
import { type Html, html } from '../../lib/html.ts'
import { texts } from './texts.ts'

/** `away`: Redis, which has it, is away. */
export type RetryOutcome = 'retried' | 'not-dead' | 'unknown' | 'away'

export interface DeadLettersModel {
  language: PageLanguage
  letters: readonly DeadLetter[]
  /** False while Redis, which has others, cannot be read. */
  isComplete: boolean
  /** Of what was just asked for. */
  outcome: RetryOutcome | undefined
}

export function deadLettersHtml({ language, letters, isComplete, outcome }: DeadLettersModel): Page {
  const text = texts[language]
  const main = html`<p>${text.intro}</p>
${outcome ? html`<p class="notice" role="status">${text.outcomes[outcome]}</p>` : ''}
${isComplete ? '' : html`<p class="notice">${text.incomplete}</p>`}
${letters.length === 0 ? html`<p>${text.none}</p>` : html`<ul>${letters.map((one) => letterHtml(language, one))}</ul>`}
<p><a href="./">${text.board}</a></p>`
  return {
    language,
    title: text.title,
    otherUrl: `/admin/jobs/dead?lang=${otherLanguageOf(language)}`,
    styles: [],
    scripts: [],
    main,
  }
}

function letterHtml(language: PageLanguage, { name, id, reason, failedAtMs }: DeadLetter): Html {
  const text = texts[language]
  const at = failedAtMs === undefined ? '' : timeHtml(new Date(failedAtMs).toISOString(), language)
  return html`<li><strong>${name}</strong> <code>${id}</code>
  ${at}: ${reason}
  <form method="post" action="dead/retry?lang=${language}">
    <input type="hidden" name="name" value="${name}"><input type="hidden" name="id" value="${id}">
    <button>${text.retry}</button></form></li>`
}
