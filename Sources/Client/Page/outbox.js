// Messages on their way into the room. Each has a key, under which the room takes it once however often it is sent.

import { Backoff, memory, Refusal, request } from "./requests.js";

/** The server remembers keys for ten minutes. After that another attempt could double a message. */
const KEY_AGE = 9 * 60_000;
/** The program itself gives an attempt up sooner. */
const ATTEMPT = 60_000;
/** Answers after which the same message may be accepted later. */
const PASSING = new Set([408, 429, 502, 503, 504]);

/** Whether the server may have forgotten the item's key. A clock that was set back says so, too. */
const isForgotten = ({ began }) => Math.abs(Date.now() - began) > KEY_AGE;

/** A random UUID would need HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends messages one after the other, so that they keep their order.
 *
 * An item's state: waiting (for its turn, or for the next attempt), sending, accepted (until the stream brings it), or
 * failed with a `reason`.
 */
export class Outbox {
  #items = [];
  #backoff = new Backoff();
  #isRunning = false;
  #room;

  /** The room is called: `changed(items)`, `needsToken()`, `forbidden()`, `has(sendTime)`, `delayed(isDelayed)`. */
  constructor(room) {
    this.#room = room;
    addEventListener("online", () => this.wake());
    document.addEventListener("visibilitychange", () => this.wake());
  }

  get isEmpty() {
    return this.#items.length === 0;
  }

  /** Goes on with what was on its way when the page was left. */
  restore() {
    try {
      this.#items = JSON.parse(memory.get("outbox", "sessionStorage") || "[]");
    } catch {
      return;
    }
    for (const item of this.#items) if (item.state === "sending") item.state = "waiting";
    this.#changed();
    this.#run();
  }

  add(author, text) {
    this.#items.push({ key: newKey(), author, text, state: "waiting", tries: 0, began: Date.now() });
    this.#changed();
    this.#run();
  }

  /** Sends a failed message again: under the same key, unless the key has become too old. */
  retry(item) {
    if (isForgotten(item)) Object.assign(item, { key: newKey(), began: Date.now() });
    item.state = "waiting";
    this.#changed();
    this.#run();
  }

  remove(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.#changed();
  }

  wake() {
    this.#backoff.wake();
  }

  /** The stream brought messages. One that looks like an item is not shown twice until the answer tells. */
  arrived(messages) {
    if (this.isEmpty) return;
    for (const { author, text, sendTime } of messages) {
      if (this.#items.some((item) => item.sendTime === sendTime)) continue;
      const alike = this.#items.find(
        (item) => item.tries > 0 && !item.seen && item.author === author && item.text === text,
      );
      if (alike) alike.seen = sendTime;
    }
    this.#items = this.#items.filter(({ state, sendTime }) => state !== "accepted" || !this.#room.has(sendTime));
    this.#changed();
  }

  /** The stream left messages out. What was accepted is in the room, or is gone like the others. */
  skipped() {
    this.#items = this.#items.filter(({ state }) => state !== "accepted");
    this.#changed();
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let item; (item = this.#items.find(({ state }) => state === "waiting")); ) {
      // The page may have slept since the last attempt.
      if (item.tries > 0 && isForgotten(item)) {
        this.#giveUp(item);
      } else {
        const error = await this.#send(item).catch((error) => error);
        if (error) await this.#failed(item, error);
        else this.#backoff.reset();
      }
      this.#room.delayed(this.#items.some(({ state, tries }) => state === "waiting" && tries > 0));
      this.#changed();
    }
    this.#isRunning = false;
  }

  async #send(item) {
    if (item.tries === 0) item.began = Date.now();
    Object.assign(item, { state: "sending", tries: item.tries + 1 });
    this.#changed();
    const response = await request("/sendMessage", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": item.key },
      body: JSON.stringify({ author: item.author, text: item.text }),
      signal: AbortSignal.timeout(ATTEMPT),
    });
    const { sendTime } = await response.json();
    Object.assign(item, { state: "accepted", sendTime, seen: undefined });
    if (this.#room.has(sendTime)) this.remove(item);
  }

  async #failed(item, error) {
    item.state = "waiting";
    if (error.status === 401) {
      // It was not accepted, however long the user looks for a token.
      item.tries--;
      this.#changed();
      await this.#room.needsToken();
    } else if (error instanceof Refusal && !PASSING.has(error.status)) {
      Object.assign(item, { state: "failed", reason: error.status, sentence: error.sentence, seen: undefined });
      if (error.status === 403) this.#room.forbidden();
    } else if (isForgotten(item)) {
      this.#giveUp(item);
    } else {
      this.#room.delayed(true);
      this.#changed();
      await this.#backoff.wait(error.retryAfter);
    }
  }

  #giveUp(item) {
    // What looked like this message most likely was it.
    if (item.seen) this.remove(item);
    else Object.assign(item, { state: "failed", reason: "unknown" });
  }

  #changed() {
    memory.set("outbox", JSON.stringify(this.#items), "sessionStorage");
    this.#room.changed(this.#items.filter(({ seen }) => !seen));
  }
}
