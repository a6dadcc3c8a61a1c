// The messages on the screen: a window into the history, whose number of rows is bounded.

import { makeRow } from "./row.js";
import { newMessages, texts } from "./texts.js";

const MOST_ROWS = 160;
const STEP = 40;
/** How far from an end of the window more rows are made, in pixels, unless the screen is large. */
const NEAR = 1_500;
/** How far from the bottom still counts as the bottom. */
const AT_END = 48;

const log = document.getElementById("log");
const column = log.firstElementChild;
const rows = document.getElementById("rows");
const jump = document.getElementById("jump");

export class Log {
  #history;
  #loadOlder;
  #me = "";
  /** The numbers of the first row's item, and of the one after the last row. */
  #from = 0;
  #to = 0;
  #isFollowing = true;
  #unread = 0;
  #isScheduled = false;

  /** Shows a history. `loadOlder` is called when its beginning is near. */
  constructor(history, loadOlder) {
    this.#history = history;
    this.#loadOlder = loadOlder;
    log.setAttribute("aria-label", texts.messages);
    log.addEventListener("scroll", () => this.#schedule(), { passive: true });
    jump.addEventListener("click", () => this.showEnd(true));
    // The keyboard of a phone, a longer text in the composer, a message that opens.
    const observer = new ResizeObserver(() => this.#keepEnd());
    observer.observe(log);
    observer.observe(column);
    this.#watchDay();
  }

  /** Whose messages are on the right. */
  set me(name) {
    if (this.#me === name) return;
    this.#me = name;
    this.redraw();
  }

  /** Follows the newest message. */
  showEnd(isSmooth = false) {
    const { first, end } = this.#history;
    const isFar = this.#to < end;
    if (isFar) this.#move(end - STEP, end);
    else this.#move(Math.max(first, Math.min(this.#from, end - 1)), end);
    this.#isFollowing = true;
    log.scrollTo({ top: log.scrollHeight, behavior: isSmooth && !isFar ? "smooth" : "instant" });
    this.#showJump();
  }

  /** The history has grown at its end. */
  appended(items, isFirst = false) {
    const { end } = this.#history;
    const wasAtEnd = this.#to >= end - items.length;
    if (this.#isFollowing) {
      this.#move(Math.max(this.#from, end - MOST_ROWS), end);
      if (!isFirst) for (const row of [...rows.children].slice(-items.length)) row.classList.add("fresh");
      this.#scrollToEnd();
      return;
    }
    this.#unread += items.filter(({ author, isGap }) => !isGap && author !== this.#me).length;
    this.#anchored(() => this.#move(this.#from, wasAtEnd ? Math.min(end, this.#from + MOST_ROWS) : this.#to));
    this.#showJump();
  }

  /** The history has grown at its beginning. */
  prepended() {
    this.#anchored(() => {
      // The first row may belong to a group now, or no longer begin a day.
      if (this.#from < this.#to) rows.firstElementChild?.replaceWith(this.#make(this.#from));
      const from = Math.max(this.#history.first, this.#from - STEP);
      this.#move(from, Math.min(this.#to, from + MOST_ROWS));
    });
    this.#schedule();
  }

  /** Makes all rows again. */
  redraw() {
    this.#anchored(() => {
      const [from, to] = [this.#from, this.#to];
      this.#move(from, from);
      this.#move(from, to);
    });
    this.#keepEnd();
  }

  #make(number) {
    const previous = number > this.#history.first ? this.#history.at(number - 1) : undefined;
    return makeRow(this.#history.at(number), previous, this.#me);
  }

  /** Makes the rows in the document those from one number to another. */
  #move(from, to) {
    from = Math.max(from, this.#history.first);
    to = Math.max(from, Math.min(to, this.#history.end));
    if (from >= this.#to || to <= this.#from) {
      rows.replaceChildren();
      this.#from = this.#to = from;
    }
    for (; this.#from < from; this.#from++) rows.firstElementChild.remove();
    for (; this.#to > to; this.#to--) rows.lastElementChild.remove();
    const range = (begin, end) => Array.from({ length: end - begin }, (_, index) => this.#make(begin + index));
    rows.prepend(...range(from, this.#from));
    this.#from = from;
    rows.append(...range(this.#to, to));
    this.#to = to;
  }

  /** Changes rows, and keeps what is on the screen where it is. */
  #anchored(change) {
    const top = log.getBoundingClientRect().top;
    const seen = [...rows.children].filter((row) => row.getBoundingClientRect().bottom > top);
    const before = seen.map((row) => row.getBoundingClientRect().top);
    change();
    const index = seen.findIndex((row) => row.isConnected);
    if (index >= 0) log.scrollTop += seen[index].getBoundingClientRect().top - before[index];
  }

  // MARK: Scrolling

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#scrolled();
    });
  }

  #scrolled() {
    const { first, end } = this.#history;
    const near = Math.min(NEAR, (log.scrollHeight - log.clientHeight) / 4);
    if (log.scrollTop <= near && this.#from > first) {
      const from = Math.max(first, this.#from - STEP);
      this.#anchored(() => this.#move(from, Math.min(this.#to, from + MOST_ROWS)));
      // Who holds the scroll bar at the top makes no further event.
      this.#schedule();
    } else if (this.#below <= near && this.#to < end) {
      const to = Math.min(end, this.#to + STEP);
      this.#anchored(() => this.#move(Math.max(this.#from, to - MOST_ROWS), to));
      this.#schedule();
    }
    if (log.scrollTop <= near && this.#from === first) this.#loadOlder();
    this.#isFollowing = this.#to === end && this.#below < AT_END;
    this.#showJump();
  }

  get #below() {
    return log.scrollHeight - log.clientHeight - log.scrollTop;
  }

  #scrollToEnd() {
    log.scrollTop = log.scrollHeight;
  }

  #keepEnd() {
    if (this.#isFollowing) this.#scrollToEnd();
    else this.#showJump();
  }

  #showJump() {
    if (this.#isFollowing) this.#unread = 0;
    jump.hidden = this.#isFollowing;
    jump.lastElementChild.textContent = this.#unread > 0 ? newMessages(this.#unread) : "";
    if (this.#unread > 0) jump.removeAttribute("aria-label");
    else jump.setAttribute("aria-label", texts.toEnd);
  }

  /** "Today" becomes "Yesterday". */
  #watchDay() {
    let day = new Date().toDateString();
    setInterval(() => {
      if (day === new Date().toDateString()) return;
      day = new Date().toDateString();
      this.redraw();
    }, 60_000);
  }
}
