// What the page says, in the first language of the browser's that it knows.

const english = {
  lang: "en",
  messages: "Messages",
  connecting: "Connecting…",
  online: "Connected",
  broken: "Reconnecting…",
  away: "Server unreachable…",
  unreadable: "This token may not read. Use another one.",
  needsToken: "Waiting for a token",
  emptyTitle: "No messages yet",
  emptyText: "Be the first to write one.",
  loading: "Loading…",
  loadOlder: "Load older messages",
  beginning: "There are no older messages.",
  limit: "Older messages are not shown.",
  gap: "Messages are missing here. The server no longer holds them.",
  nobody: "No name",
  more: "Show all",
  toEnd: "To the latest message",
  fresh: { one: "1 new message", other: "# new messages" },
  nameLabel: "What is your name?",
  namePlaceholder: "Your name",
  nameDone: "Continue",
  rename: "Change your name. It is",
  textLabel: "Message",
  textPlaceholder: "Write a message",
  send: "Send",
  hint: "Enter sends. Shift+Enter begins a new line.",
  sending: "Sending…",
  accepted: "Sent",
  waiting: "Waiting for the server",
  retry: "Try again",
  edit: "Edit",
  discard: "Discard",
  readOnly: "Your token may not send.",
  otherToken: "Use another token",
  tokenTitle: "A token is needed",
  tokenWhy: "This room is protected. Your browser remembers the token on this device.",
  tokenLabel: "Token",
  tokenDone: "Continue",
  tokenWrong: "The server does not know this token.",
  refused: {
    400: "The server refused the message.",
    403: "You may not send messages.",
    409: "Another message was sent under the same key.",
    413: "The message is too long.",
    507: "The server’s history is full.",
    unknown: "No answer for ten minutes. The message may have arrived.",
    other: "The message could not be sent.",
  },
};

const russian = {
  lang: "ru",
  messages: "Сообщения",
  connecting: "Подключение…",
  online: "На связи",
  broken: "Восстанавливаем связь…",
  away: "Сервер недоступен…",
  unreadable: "Этот токен не разрешает чтение. Введите другой.",
  needsToken: "Нужен токен",
  emptyTitle: "Сообщений пока нет",
  emptyText: "Напишите первое.",
  loading: "Загрузка…",
  loadOlder: "Загрузить более ранние",
  beginning: "Более ранних сообщений нет.",
  limit: "Более ранние сообщения не показаны.",
  gap: "Здесь не хватает сообщений. На сервере их больше нет.",
  nobody: "Без имени",
  more: "Показать целиком",
  toEnd: "К последнему сообщению",
  fresh: { one: "# новое сообщение", few: "# новых сообщения", other: "# новых сообщений" },
  nameLabel: "Как вас зовут?",
  namePlaceholder: "Ваше имя",
  nameDone: "Продолжить",
  rename: "Сменить имя. Сейчас:",
  textLabel: "Сообщение",
  textPlaceholder: "Напишите сообщение",
  send: "Отправить",
  hint: "Enter — отправить, Shift+Enter — новая строка.",
  sending: "Отправляется…",
  accepted: "Отправлено",
  waiting: "Ждёт сервера",
  retry: "Повторить",
  edit: "Изменить",
  discard: "Удалить",
  readOnly: "Токен не разрешает отправку.",
  otherToken: "Ввести другой токен",
  tokenTitle: "Нужен токен",
  tokenWhy: "Эта комната защищена. Браузер запомнит токен на этом устройстве.",
  tokenLabel: "Токен",
  tokenDone: "Продолжить",
  tokenWrong: "Сервер не знает такого токена.",
  refused: {
    400: "Сервер не принял сообщение.",
    403: "Вам нельзя отправлять сообщения.",
    409: "Под этим ключом уже отправлено другое сообщение.",
    413: "Сообщение слишком длинное.",
    507: "История на сервере переполнена.",
    unknown: "Десять минут нет ответа. Возможно, сообщение дошло.",
    other: "Не удалось отправить сообщение.",
  },
};

const languages = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
export const texts = languages.find((tag) => tag === "en" || tag === "ru") === "ru" ? russian : english;

// Dates as this language's user writes them: 24 hours or 12, day before month or after it.
const locale = navigator.languages.find((tag) => tag.toLowerCase().startsWith(texts.lang)) ?? texts.lang;
const plural = new Intl.PluralRules(locale);
const hours = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
const days = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const daysOfOtherYears = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
const nearDays = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

/** The number of new messages, in words. */
export const newMessages = (count) => (texts.fresh[plural.select(count)] ?? texts.fresh.other).replace("#", count);

export const hour = (date) => hours.format(date);
export const wholeTime = (date) => whole.format(date);

/** "Today", "Yesterday", "Monday, November 30" or "November 30, 2025". */
export function dayName(date) {
  const today = new Date();
  const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate());
  const ago = Math.round((midnight(today) - midnight(date)) / 86_400_000);
  if (ago === 0 || ago === 1) return capitalized(nearDays.format(-ago, "day"));
  return capitalized((date.getFullYear() === today.getFullYear() ? days : daysOfOtherYears).format(date));
}

const capitalized = (text) => text[0].toUpperCase() + text.slice(1);
