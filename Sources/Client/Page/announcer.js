// Tells who does not see the log that messages have arrived: screen readers, and the title of a page in the background.
// The log itself is no live region, because its rows also change when the user scrolls.

import { newMessages, texts } from "./texts.js";

const PAUSE = 500;
const MOST_SPOKEN = 3;
const MOST_CHARACTERS = 300;

const announcer = document.getElementById("announcer");
const title = document.title;
let waiting = [];
let unread = 0;

export function announce(messages) {
  if (messages.length === 0) return;
  if (waiting.length === 0) setTimeout(speak, PAUSE);
  waiting.push(...messages);
  if (!document.hidden) return;
  unread += messages.length;
  document.title = `(${unread}) ${title}`;
}

function speak() {
  const sentences = waiting.map(({ author, text }) => `${author || texts.nobody}: ${text.slice(0, MOST_CHARACTERS)}`);
  announcer.textContent = waiting.length > MOST_SPOKEN ? newMessages(waiting.length) : sentences.join("\n");
  waiting = [];
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = title;
});
