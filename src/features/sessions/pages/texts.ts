// What the pages about logging in say, in both languages.

const en = {
  login: {
    title: 'Log in',
    intro: 'With your Telegram account. Samovar learns your name, not your phone number.',
    oidc: 'Log in with Telegram',
    widget: 'Log in with the older Telegram widget',
    widgetScript: 'The older widget needs JavaScript.',
    miniApp: 'Inside Telegram there is nothing to press: open the Mini App of the bot and you are logged in.',
    nothing: 'No way to log in is set up here yet. The administrator sets these variables and starts again:',
    oidcNeeds: 'for Log In With Telegram, the Client ID and Secret that BotFather shows:',
    botNeeds: 'for Mini Apps and the older widget, the token of the bot:',
    already: 'You are logged in as',
    toAccount: 'Your devices',
    working: 'Logging in…',
    refused:
      'Telegram did not confirm this login, or it is too old, or it was used before, or it did not begin in this ' +
      'browser. Please begin again here.',
    declined: 'You said no at Telegram, and nothing was passed on. You can begin again here.',
    expired:
      'This login took longer than ten minutes, was ended already, or did not begin in this browser. ' +
      'Please begin again here.',
    unavailable: 'Telegram does not answer at the moment. Please try again in a minute.',
    again: 'This site has just started and is still reading its data. Please try again in a moment.',
    notConfigured: 'This way to log in is not set up here.',
  },
  webapp: {
    title: 'Samovar in Telegram',
    done: 'You are logged in as',
    outside: 'This page belongs inside Telegram. In a browser, log in here:',
    script: 'This page needs JavaScript.',
  },
  account: {
    title: 'Account',
    devices: 'Where you are logged in',
    here: 'this device',
    on: 'on',
    unknownDevice: 'unknown device',
    unknown: 'unknown',
    since: 'logged in',
    seen: 'last seen',
    revoke: 'Log out there',
    revokeOthers: 'Log out everywhere else',
  },
}

const ru: typeof en = {
  login: {
    title: 'Вход',
    intro: 'Через ваш Telegram. Самовар узнает ваше имя, но не номер телефона.',
    oidc: 'Войти через Telegram',
    widget: 'Войти через прежний виджет Telegram',
    widgetScript: 'Прежнему виджету нужен JavaScript.',
    miniApp: 'Внутри Telegram нажимать ничего не надо: откройте мини-приложение бота, и вход выполнится сам.',
    nothing:
      'Ни один способ входа здесь ещё не настроен. Администратор задаёт эти переменные и перезапускает приложение:',
    oidcNeeds: 'для входа через Telegram — Client ID и Secret, которые показывает BotFather:',
    botNeeds: 'для мини-приложений и прежнего виджета — токен бота:',
    already: 'Вы вошли как',
    toAccount: 'Ваши устройства',
    working: 'Входим…',
    refused:
      'Telegram не подтвердил этот вход, или он устарел, уже был использован или начат не в этом браузере. ' +
      'Начните вход заново здесь.',
    declined: 'Вы отказались в Telegram, и ничего не передано. Вход можно начать заново здесь.',
    expired:
      'Вход длился дольше десяти минут, уже завершён или начат не в этом браузере. Начните вход заново здесь.',
    unavailable: 'Telegram сейчас не отвечает. Попробуйте через минуту.',
    again: 'Сайт только что запустился и ещё читает свои данные. Попробуйте через несколько секунд.',
    notConfigured: 'Этот способ входа здесь не настроен.',
  },
  webapp: {
    title: 'Самовар в Telegram',
    done: 'Вы вошли как',
    outside: 'Эта страница открывается внутри Telegram. В браузере войдите здесь:',
    script: 'Этой странице нужен JavaScript.',
  },
  account: {
    title: 'Учётная запись',
    devices: 'Где вы вошли',
    here: 'это устройство',
    on: 'на',
    unknownDevice: 'неизвестное устройство',
    unknown: 'неизвестно',
    since: 'вход',
    seen: 'последнее обращение',
    revoke: 'Выйти там',
    revokeOthers: 'Выйти везде, кроме этого устройства',
  },
}

export const texts = { en, ru }
