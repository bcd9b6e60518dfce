// The form for the admin token: at /admin/login, and in place of a page of the admin's.
import { html } from '../../lib/html.ts'
import { otherLanguageOf, type Page, type PageLanguage } from '../page.ts'

const texts = {
  en: {
    title: 'Administration',
    intro:
      'These pages are for who runs this site. The admin token is ADMIN_TOKEN, or what this command prints:',
    token: 'Admin token',
    enter: 'Enter',
    wrong: 'That is not the token.',
    already: 'You are the admin in this browser.',
    leave: 'Leave',
    jobs: 'Jobs',
    dead: 'Dead letters',
  },
  ru: {
    title: 'Администрирование',
    intro:
      'Эти страницы — для того, кто ведёт сайт. Токен администратора — ADMIN_TOKEN или то, что печатает команда:',
    token: 'Токен администратора',
    enter: 'Войти',
    wrong: 'Это не тот токен.',
    already: 'В этом браузере вы администратор.',
    leave: 'Выйти',
    jobs: 'Задания',
    dead: 'Мёртвые задания',
  },
}

export interface AdminLoginModel {
  language: PageLanguage
  /** Before all our paths, as the browser sees them. */
  prefix: string
  /** Where to go then: a path below /admin/, without that. */
  to: string
  isWrong?: boolean
  isAdmin?: boolean
}

export function adminLoginHtml({ language, prefix, to, isWrong, isAdmin }: AdminLoginModel): Page {
  const text = texts[language]
  const query = (lang: PageLanguage) => new URLSearchParams({ to, lang }).toString()
  const form = html`<p>${text.intro} <code>samovar token</code></p>
${isWrong ? html`<p class="notice" role="alert">${text.wrong}</p>` : ''}
<form method="post" action="${prefix}/admin/login?${query(language)}">
  <input name="name" autocomplete="username" value="admin" hidden>
  <label>${text.token}
    <input name="token" type="password" autocomplete="current-password" required maxlength="1000" autofocus></label>
  <button>${text.enter}</button>
</form>`
  const admin = html`<p>${text.already}</p>
<ul><li><a href="${prefix}/admin/jobs/">${text.jobs}</a></li>
<li><a href="${prefix}/admin/jobs/dead?lang=${language}">${text.dead}</a></li></ul>
<form method="post" action="${prefix}/admin/logout"><button class="quiet">${text.leave}</button></form>`
  return {
    language,
    title: text.title,
    otherUrl: `${prefix}/admin/login?${query(otherLanguageOf(language))}`,
    styles: [],
    scripts: [],
    main: isAdmin ? admin : form,
  }
}
