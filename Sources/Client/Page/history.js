// The messages that the page knows: a run of the room's history, in order.

/** The room gives at most its latest 10,000. */
export const MOST = 10_000;
const MOST_CHARACTERS = 32 << 20;

/** Numbers its items. An item keeps its number when older ones are added or dropped before it. */
export class History {
  #items = [];
  #characters = 0;
  /** The first item's number. */
  first = 0;
  /** Whether the room holds nothing older: true, false, or "limit" if the page takes no more. */
  isComplete = false;
  /** The sendTime after which the room has to go on, or null if that is not known. */
  position = null;

  get end() {
    return this.first + this.#items.length;
  }

  at(number) {
    return this.#items[number - this.first];
  }

  /** Adds messages that are later than all before. Returns those that it did not have. */
  append(messages) {
    const later = [];
    for (const message of messages) {
      if (this.position !== null && message.sendTime <= this.position) continue;
      this.position = message.sendTime;
      later.push(item(message));
      this.#characters += message.text.length;
    }
    this.#items.push(...later);
    this.#drop();
    return later;
  }

  /** Notes that messages are missing after the last one. The room goes on after a position of its own. */
  gap(position) {
    this.position = position;
    if (this.#items.length > 0 && !this.#items.at(-1).isGap) this.#items.push({ isGap: true });
  }

  /** Adds what is older than all others of the latest messages. Returns the number of added ones. */
  prepend(latest) {
    const oldest = this.#items.find(({ isGap }) => !isGap)?.sendTime;
    const older = latest.filter(({ sendTime }) => oldest === undefined || sendTime < oldest).map(item);
    this.#items.unshift(...older);
    this.first -= older.length;
    for (const { text } of older) this.#characters += text.length;
    return older.length;
  }

  /** How many of the latest messages to ask for, to get older ones. */
  get nextRequest() {
    const count = this.#items.length;
    const affordable = Math.floor((MOST_CHARACTERS / (this.#characters + 1)) * count);
    return Math.min(MOST, Math.max(4 * count, 200), Math.max(affordable, 200));
  }

  get isFull() {
    return this.#items.length >= MOST || this.#characters >= MOST_CHARACTERS;
  }

  #drop() {
    let count = 0;
    // A tenth more, so that not every message moves all others.
    if (this.#items.length > MOST * 1.1) count = this.#items.length - MOST;
    for (let left = this.#characters; left > MOST_CHARACTERS && count < this.#items.length - 1; count++) {
      left -= this.#items[count].text?.length ?? 0;
    }
    if (count === 0) return;
    for (const dropped of this.#items.splice(0, count)) this.#characters -= dropped.text?.length ?? 0;
    this.first += count;
    this.isComplete = "limit";
  }
}

const item = ({ author, text, sendTime }) => ({
  author,
  text,
  sendTime,
  // Engines differ in how many digits they read.
  date: new Date(`${sendTime.slice(0, 23)}Z`),
});
