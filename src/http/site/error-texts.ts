// What an error page says beside the sentence of the problem itself, in both languages.
const en = {
  titles: {
    400: 'The request is malformed',
    401: 'Please log in',
    403: 'This is not allowed',
    404: 'Page not found',
    405: 'This cannot be done here',
    413: 'That is too much',
    429: 'Too many requests',
    500: 'Something broke',
    503: 'Not available at the moment',
  },
  refused: 'This cannot be answered',
  failed: 'This did not work',
  notHere: 'There is no such page, or no longer.',
  later: 'Please try again in a moment.',
  yours: 'The address or what was sent is not as it should be:',
  ours: 'This is our fault, not yours.',
  number: 'For the administrator, the number of this request in the log:',
  again: 'Try again',
  home: 'To the first page',
  logIn: 'Log in',
}

const ru: typeof en = {
  titles: {
    400: 'Неверный запрос',
    401: 'Нужно войти',
    403: 'Доступ запрещён',
    404: 'Страница не найдена',
    405: 'Здесь так нельзя',
    413: 'Слишком большой запрос',
    429: 'Слишком много запросов',
    500: 'Что-то сломалось',
    503: 'Временно недоступно',
  },
  refused: 'Запрос отклонён',
  failed: 'Не получилось',
  notHere: 'Такой страницы нет — или уже нет.',
  later: 'Попробуйте ещё раз чуть позже.',
  yours: 'Адрес или отправленные данные неверны:',
  ours: 'Ошибка на нашей стороне, вы ни при чём.',
  number: 'Для администратора — номер запроса в журнале:',
  again: 'Попробовать ещё раз',
  home: 'На главную',
  logIn: 'Войти',
}

export const texts = { en, ru }
export type ErrorTexts = typeof en
