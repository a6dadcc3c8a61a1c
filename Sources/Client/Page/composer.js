// Where the user writes: first a name, then messages.

import { memory } from "./requests.js";
import { initial, tone } from "./row.js";
import { texts } from "./texts.js";

const naming = document.getElementById("naming");
const name = document.getElementById("name");
const writing = document.getElementById("writing");
const text = document.getElementById("text");
const send = document.getElementById("send");
const rename = document.getElementById("rename");
const denied = document.getElementById("denied");
/** Where the focus would bring up a keyboard on the screen. */
const isTouched = matchMedia("(pointer: coarse)");
const fitsItself = CSS.supports("field-sizing", "content");

/** Lone halves of characters are not Unicode text, and would be refused. */
const wellFormed = (text) => text.toWellFormed?.() ?? text;

export class Composer {
  #onSend;
  #onName;

  /** Calls `onSend(text)` and `onName(name)`. `useOtherToken` is for whoever may not send. */
  constructor({ onSend, onName, useOtherToken }) {
    this.#onSend = onSend;
    this.#onName = onName;
    naming.querySelector("label").textContent = texts.nameLabel;
    name.placeholder = texts.namePlaceholder;
    naming.querySelector("button").textContent = texts.nameDone;
    text.placeholder = texts.textPlaceholder;
    text.setAttribute("aria-label", texts.textLabel);
    send.setAttribute("aria-label", texts.send);
    document.getElementById("hint").textContent = texts.hint;
    denied.firstElementChild.textContent = texts.readOnly;
    denied.lastElementChild.textContent = texts.otherToken;
    denied.lastElementChild.addEventListener("click", useOtherToken);
    this.#listen();
    text.value = memory.get("draft", "sessionStorage");
    this.#showName();
    if (!isTouched.matches) this.focus();
  }

  get name() {
    return memory.get("name");
  }

  /** Puts the cursor where the user writes. */
  focus() {
    (naming.hidden ? text : name).focus({ preventScroll: true });
  }

  /** Gives a message that was refused back to its author. */
  edit(message) {
    text.value = text.value === "" ? message : `${message}\n${text.value}`;
    this.#changed();
    text.focus();
  }

  set isDenied(isDenied) {
    denied.hidden = !isDenied;
    if (isDenied) naming.hidden = writing.hidden = true;
    else this.#showName();
  }

  #listen() {
    naming.addEventListener("submit", (event) => {
      event.preventDefault();
      const value = wellFormed(name.value).trim();
      if (value === "") return name.focus();
      memory.set("name", value);
      this.#showName();
      this.focus();
    });
    name.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.name !== "") {
        this.#showName();
        this.focus();
      }
    });
    rename.addEventListener("click", () => {
      if (!denied.hidden) return;
      writing.hidden = true;
      naming.hidden = false;
      name.value = this.name;
      name.select();
    });
    writing.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    text.addEventListener("input", () => this.#changed());
    text.addEventListener("keydown", (event) => {
      // Enter also ends the input of a word in some languages. Safari says so by the code alone.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#send();
    });
    addEventListener("resize", () => this.#fit());
  }

  #showName() {
    const hasName = this.name !== "";
    naming.hidden = hasName;
    writing.hidden = rename.hidden = !hasName;
    rename.querySelector(".name").textContent = this.name;
    rename.setAttribute("aria-label", `${texts.rename} ${this.name}`);
    const avatar = rename.querySelector(".avatar");
    avatar.textContent = initial(this.name);
    rename.dataset.tone = tone(this.name);
    this.#changed();
    this.#onName(this.name);
  }

  #send() {
    const message = wellFormed(text.value).replace(/^\s*\n|\s+$/g, "");
    if (message === "") return;
    text.value = "";
    this.#changed();
    text.focus();
    this.#onSend(message);
  }

  #changed() {
    send.disabled = text.value.trim() === "";
    memory.set("draft", text.value, "sessionStorage");
    this.#fit();
  }

  /** Makes the field as high as its text; the style sheet bounds it. */
  #fit() {
    if (fitsItself) return;
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }
}
