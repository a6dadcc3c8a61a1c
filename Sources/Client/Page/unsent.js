// The messages on their way, below all others.

import { clone } from "./row.js";
import { texts } from "./texts.js";

const container = document.getElementById("pending");
const shown = new Map();

/** Shows these items of the outbox. `act(what, item)` is called for a failed one: retry, edit or discard. */
export function showUnsent(items, act) {
  for (const [item, element] of shown) {
    if (items.includes(item)) continue;
    shown.delete(item);
    element.remove();
  }
  for (const item of items) {
    if (!shown.has(item)) {
      shown.set(item, makeElement(item, act));
      container.append(shown.get(item));
    }
    update(shown.get(item), item);
  }
}

function makeElement(item, act) {
  const element = clone("unsent");
  element.querySelector(".text").textContent = item.text;
  for (const button of element.querySelectorAll("button")) {
    button.textContent = texts[button.dataset.do];
    button.addEventListener("click", () => act(button.dataset.do, item));
  }
  return element;
}

function update(element, { state, tries, reason, sentence }) {
  element.dataset.state = state;
  element.querySelector(".meta").textContent = progress(state, tries);
  const fault = element.querySelector(".fault");
  fault.hidden = state !== "failed";
  if (state !== "failed") return;
  const known = texts.refused[reason] ?? texts.refused.other;
  // The server's own sentence is English, and says more than the status where that is not clear by itself.
  const says = (reason === 400 || !texts.refused[reason]) && sentence;
  fault.firstElementChild.textContent = says ? `${known} ${sentence}` : known;
}

function progress(state, tries) {
  if (state === "failed") return "";
  if (state === "accepted") return texts.accepted;
  return state === "waiting" && tries > 0 ? texts.waiting : texts.sending;
}
