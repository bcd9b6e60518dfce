// What the page says, in both languages.

const en = {
  tagline: 'A web app and its Redis in one container. It keeps serving when its Redis does not.',
  statusTitle: 'How it is doing',
  status: 'Status',
  statuses: {
    redis: 'Redis answers',
    memory: 'serving from memory',
    merging: 'Redis is back, catching up',
  },
  unreachable: 'no answer from the server',
  since: 'since',
  hitRate: 'Answered from the cache',
  reads: 'reads:',
  uptime: 'Running for',
  lastOutage: 'Last outage of Redis',
  noOutage: 'none',
  from: 'from',
  lasting: 'still lasting',
  fromMemory: 'calls answered from memory:',
  countriesTitle: 'Countries',
  intro: 'Reference data from SQLite, read through the cache.',
  search: 'Search by name, capital or code',
  searchButton: 'Search',
  found: 'Found:',
  none: 'No country matches.',
  columns: { code: 'Code', name: 'Name', capital: 'Capital', currency: 'Currency', phone: 'Calling code' },
  api: 'The same as JSON:',
  pages: 'Pages',
}

const ru: typeof en = {
  tagline: 'Веб-приложение и его Redis в одном контейнере. Работает и тогда, когда Redis не работает.',
  statusTitle: 'Состояние сервера',
  status: 'Состояние',
  statuses: {
    redis: 'Redis отвечает',
    memory: 'работа из памяти',
    merging: 'Redis вернулся, данные переносятся',
  },
  unreachable: 'сервер не отвечает',
  since: 'с',
  hitRate: 'Из кэша',
  reads: 'чтений:',
  uptime: 'Работает',
  lastOutage: 'Последний простой Redis',
  noOutage: 'не было',
  from: 'с',
  lasting: 'ещё длится',
  fromMemory: 'ответов из памяти:',
  countriesTitle: 'Страны',
  intro: 'Справочные данные из SQLite, читаются через кэш.',
  search: 'Поиск по названию, столице или коду',
  searchButton: 'Найти',
  found: 'Найдено:',
  none: 'Ничего не нашлось.',
  columns: { code: 'Код', name: 'Название', capital: 'Столица', currency: 'Валюта', phone: 'Телефонный код' },
  api: 'То же в JSON:',
  pages: 'Страницы',
}

export const texts = { en, ru }
export type Texts = typeof en
