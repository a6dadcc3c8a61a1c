// What one item of the history looks like. Texts of others only ever become text nodes.

import { dayName, hour, texts, wholeTime } from "./texts.js";

const TONES = 8;
/** Messages of one author within this time form a group. */
const GROUP = 5 * 60_000;
/** Longer texts are shown in part. */
const LONG_CHARACTERS = 1_500;
const LONG_LINES = 20;

export const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

/** The row of an item that comes after `previous`. It has a day above it, if another day begins. */
export function makeRow(item, previous, me) {
  if (item.isGap) {
    const row = clone("gap");
    row.firstElementChild.textContent = texts.gap;
    return row;
  }
  const row = clone("row");
  const isNewDay = item.date.toDateString() !== previous?.date?.toDateString() && !previous?.isGap;
  if (isNewDay) {
    const day = row.querySelector(".day");
    day.hidden = false;
    setTime(day.firstElementChild, item, dayName(item.date));
  }
  const message = row.querySelector(".message");
  const isOwn = me !== "" && item.author === me;
  const isGrouped = !isNewDay && previous?.author === item.author && item.date - previous.date < GROUP;
  message.classList.toggle("own", isOwn);
  message.classList.toggle("grouped", isGrouped);
  const author = row.querySelector(".author");
  author.textContent = item.author || texts.nobody;
  author.classList.toggle("nobody", item.author === "");
  author.classList.toggle("unseen", isOwn || isGrouped);
  message.dataset.tone = tone(item.author);
  row.querySelector(".avatar").textContent = initial(item.author);
  row.querySelector(".text").textContent = item.text;
  setTime(row.querySelector(".meta time"), item, hour(item.date));
  if (isLong(item)) shorten(item, message);
  return row;
}

function setTime(element, item, text) {
  element.dateTime = item.sendTime;
  element.title = wholeTime(item.date);
  element.textContent = text;
}

const isLong = ({ text, isOpen }) =>
  !isOpen && (text.length > LONG_CHARACTERS || text.split("\n", LONG_LINES + 1).length > LONG_LINES);

function shorten(item, message) {
  const more = message.querySelector(".more");
  message.classList.add("long");
  more.hidden = false;
  more.textContent = texts.more;
  more.addEventListener("click", () => {
    item.isOpen = true;
    message.classList.remove("long");
    more.remove();
  });
}

/** One of a few colours, always the same for a name. */
export function tone(name) {
  let sum = 0;
  for (let index = 0; index < name.length; index++) sum = (sum * 31 + name.charCodeAt(index)) >>> 0;
  return sum % TONES;
}

const graphemes = new Intl.Segmenter();

/** What stands for a name in a small circle: its first letter, also if that is several code points. */
export function initial(name) {
  const [first] = graphemes.segment(name.trimStart().slice(0, 32));
  return first ? first.segment.toUpperCase() : "·";
}
