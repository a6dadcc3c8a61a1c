// Requests to the program that serves this page.

/** Values that the browser remembers, if it allows that. */
export const memory = {
  get(name, storage = "localStorage") {
    if (name in this.unstored) return this.unstored[name];
    try {
      return window[storage].getItem(`messenger.${name}`) ?? "";
    } catch {
      return "";
    }
  },
  set(name, value, storage = "localStorage") {
    try {
      window[storage].setItem(`messenger.${name}`, value);
      delete this.unstored[name];
    } catch {
      // It is forbidden or full. Then an older value may still be there.
      this.unstored[name] = value;
    }
  },
  unstored: {},
};

/** An answer other than 2xx. */
export class Refusal extends Error {
  constructor(status, { error } = {}, retryAfter = 0) {
    super(error ?? `HTTP ${status}`);
    this.status = status;
    this.sentence = error ?? "";
    this.retryAfter = Number(retryAfter) * 1000 || 0;
  }
}

/** Sends a request with the token that the browser remembers. Throws a Refusal, or another error without an answer. */
export async function request(path, options = {}) {
  const headers = { ...options.headers };
  const token = memory.get("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { cache: "no-store", ...options, headers });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refusal(response.status, body ?? {}, response.headers.get("Retry-After"));
}

/** The latest messages that the room holds, oldest first. */
export async function latestMessages(count, signal) {
  const response = await request(`/messages?last=${count}`, { signal });
  performance.mark("messages-answered");
  return response.json();
}

/** Waits that grow with each failure, with jitter, so that pages do not all come back at the same moment. */
export class Backoff {
  #failures = 0;
  #wake = () => {};

  /** Waits, or until `wake`. */
  async wait(atLeast = 0) {
    const longest = Math.min(15_000, 500 * 2 ** this.#failures++);
    await this.pause(Math.max(atLeast, longest * (0.5 + Math.random() / 2)));
  }

  async pause(time) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, time);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake() {
    this.#wake();
  }

  reset() {
    this.#failures = 0;
  }
}
