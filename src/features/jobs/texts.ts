// What the page of dead letters says, in both languages.
const en = {
  title: 'Dead letters',
  intro: 'Jobs whose last attempt has failed. Mend the cause first, then run them again: each keeps its id.',
  none: 'There are none.',
  incomplete: 'Redis is away: those in Redis are not shown, and run again only when it is back.',
  retry: 'Run again',
  board: 'All jobs',
  outcomes: {
    retried: 'It runs again, with all of its attempts.',
    'not-dead': 'It is no dead letter any more: it waits, runs, or was done.',
    unknown: 'There is no such dead letter any more.',
    away: 'Redis, which has it, is away. Nothing was changed: try again when Redis is back.',
  },
}

const ru: typeof en = {
  title: 'Мёртвые задания',
  intro:
    'Задания, у которых не удалась последняя попытка. Устраните причину и запустите снова: номер останется тем же.',
  none: 'Таких нет.',
  incomplete: 'Redis недоступен: задания из него не показаны, запустить их можно будет, когда он вернётся.',
  retry: 'Запустить снова',
  board: 'Все задания',
  outcomes: {
    retried: 'Задание выполняется снова, со всеми попытками.',
    'not-dead': 'Это задание уже не мёртвое: оно ждёт, выполняется или выполнено.',
    unknown: 'Такого мёртвого задания больше нет.',
    away: 'Redis, где оно лежит, недоступен. Ничего не изменилось: повторите, когда он вернётся.',
  },
}

export const texts = { en, ru }
