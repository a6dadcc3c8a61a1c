// Follows the room: GET /events, read with fetch, because an EventSource cannot send a token.

import { Backoff, latestMessages, Refusal, request } from "./requests.js";
import { texts } from "./texts.js";

/** How many messages the page shows first. */
export const FIRST = 50;
/** The program writes something every 15 s. */
const SILENCE = 40_000;
/** A browser allows six connections to a host. So a page that nobody sees looks for messages, and disconnects. */
const HIDDEN_SILENCE = 3_000;
const HIDDEN_PAUSE = 20_000;
const READINESS_PAUSE = 3_000;

/** Parses a stream of events: yields { id, event, data } for each, and { comment } for lines that keep it open. */
export class EventParser {
  #rest = "";
  #event = {};

  *parse(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        yield this.#event;
        this.#event = {};
        continue;
      }
      const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (name === "") yield { comment: value };
      else if (name === "data" && name in this.#event) this.#event.data += `\n${value}`;
      else this.#event[name] = value;
    }
  }
}

/** Reads the room for ever, over as many connections as that needs. */
export class Stream {
  #room;
  #backoff = new Backoff();
  #abort = new AbortController();
  #watchdog = 0;
  /** The connection for which the room's readiness is being checked. */
  #checked = null;

  /**
   * The room has the `position` after which to go on (null: with the latest messages), and is called:
   * `received(messages)`, `began(position)`, `gap(position)`, `state(name)`, `needsToken(reason)`.
   */
  constructor(room) {
    this.#room = room;
    addEventListener("online", () => this.wake());
    document.addEventListener("visibilitychange", () => {
      this.#watch();
      this.wake();
    });
  }

  /** Connects now if it waits to. */
  wake() {
    this.#backoff.wake();
  }

  async run() {
    for (;;) {
      this.#abort = new AbortController();
      const error = await this.#follow(this.#abort.signal).catch((error) => error);
      clearTimeout(this.#watchdog);
      this.#abort.abort();
      if (error?.status === 401) {
        await this.#room.needsToken();
      } else if (error?.status === 403) {
        await this.#room.needsToken(texts.unreadable);
      } else if (document.hidden) {
        await this.#backoff.pause(HIDDEN_PAUSE);
      } else {
        this.#room.state(error instanceof Refusal ? "away" : "broken");
        await this.#backoff.wait(error?.retryAfter);
      }
    }
  }

  async #follow(signal) {
    this.#watch();
    if (this.#room.position === null) this.#room.received(await latestMessages(FIRST, signal));
    const position = this.#room.position;
    const path = position ? `/events?after=${position}` : `/events?last=${FIRST}`;
    const response = await request(path, { signal });
    this.#backoff.reset();
    this.#checkReadiness();
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#watch();
      this.#take(parser.parse(value));
    }
  }

  #take(events) {
    let messages = [];
    for (const { comment, id, event, data } of events) {
      if (comment !== undefined) {
        this.#checkReadiness();
      } else if (event === "gap") {
        this.#room.received(messages);
        messages = [];
        this.#room.gap(id);
      } else if (data !== undefined) {
        messages.push(JSON.parse(data));
      } else if (id !== undefined) {
        this.#room.began(id);
      }
    }
    if (messages.length > 0) this.#room.received(messages);
  }

  /** Gives a connection up that has been silent for too long. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#abort.abort(), document.hidden ? HIDDEN_SILENCE : SILENCE);
  }

  /** The stream of events stays open while the room itself cannot be reached. */
  async #checkReadiness() {
    const { signal } = this.#abort;
    if (this.#checked === signal) return;
    this.#checked = signal;
    for (let isReady = false; !isReady; ) {
      isReady = await request("/readyz").then(() => true, (error) => !(error instanceof Refusal));
      if (signal.aborted) return;
      this.#room.state(isReady ? "online" : "away");
      if (!isReady) await new Promise((resolve) => setTimeout(resolve, READINESS_PAUSE));
    }
    this.#checked = null;
  }
}
