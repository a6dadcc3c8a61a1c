// The room's page: puts its parts together.

import { announce } from "./announcer.js";
import { Composer } from "./composer.js";
import { History, MOST } from "./history.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";
import { latestMessages } from "./requests.js";
import { FIRST, Stream } from "./stream.js";
import { texts } from "./texts.js";
import { askForToken } from "./token.js";
import { showUnsent } from "./unsent.js";

const element = (id) => document.getElementById(id);
document.documentElement.lang = texts.lang;

// MARK: The state of the connection

let streamState = "connecting";
let isSendDelayed = false;

function showState() {
  const state = streamState === "online" && isSendDelayed ? "away" : streamState;
  const status = element("status");
  status.dataset.state = state;
  if (status.textContent !== texts[state]) status.textContent = texts[state];
}

// MARK: Messages

const history = new History();
const log = new Log(history, loadOlder);
const top = element("top");
/** What has arrived and is not shown yet: a burst changes the page once. */
let arrived = [];
let isLoaded = false;
let isLoadingOlder = false;

function received(messages) {
  const isScheduled = arrived.length > 0;
  arrived.push(...messages);
  if (!isLoaded || document.hidden) showArrived();
  else if (!isScheduled && arrived.length > 0) requestAnimationFrame(showArrived);
}

function showArrived() {
  const isFirst = !isLoaded;
  isLoaded = true;
  const items = history.append(arrived);
  arrived = [];
  if (isFirst) history.isComplete = items.length < FIRST;
  log.appended(items, isFirst);
  outbox.arrived(items);
  showEnds();
  if (!isFirst) return announce(items.filter(({ author }) => author !== composer.name));
  // In a task after the frame, so that the frame counts.
  requestAnimationFrame(() => setTimeout(() => performance.measure("first-messages", "messages-answered")));
}

function gap(position) {
  showArrived();
  const { end } = history;
  history.gap(position);
  outbox.skipped();
  if (history.end > end) log.appended([history.at(end)]);
}

async function loadOlder() {
  if (!isLoaded || isLoadingOlder || history.isComplete || history.end === history.first) return;
  isLoadingOlder = true;
  showEnds();
  try {
    const count = history.nextRequest;
    const messages = await latestMessages(count);
    const added = history.prepend(messages);
    if (messages.length < count) history.isComplete = true;
    else if (history.isFull || (added === 0 && count === MOST)) history.isComplete = "limit";
    isLoadingOlder = false;
    log.prepended();
    showEnds();
  } catch {
    // The button tries again.
    isLoadingOlder = false;
    showEnds(true);
  }
}

/** What there is above the first message, and in place of messages in an empty room. */
function showEnds(hasFailed = false) {
  const isEmpty = history.end === history.first && outbox.isEmpty;
  element("empty").hidden = !isLoaded || !isEmpty;
  const [note, button] = top.children;
  button.hidden = !hasFailed;
  top.hidden = !isLoaded || isEmpty;
  if (isLoadingOlder) note.textContent = texts.loading;
  else if (history.isComplete === "limit") note.textContent = texts.limit;
  else note.textContent = history.isComplete ? texts.beginning : "";
}

// MARK: Writing

const outbox = new Outbox({
  has: (sendTime) => history.position !== null && sendTime <= history.position,
  needsToken: () => askForToken(),
  changed(items) {
    showUnsent(items, act);
    showEnds();
  },
  delayed(isDelayed) {
    isSendDelayed = isDelayed;
    showState();
  },
  forbidden() {
    composer.isDenied = true;
  },
});

function act(what, item) {
  if (what === "retry") return outbox.retry(item);
  outbox.remove(item);
  if (what === "edit") composer.edit(item.text);
  else composer.focus();
}

const composer = new Composer({
  onName: (name) => (log.me = name),
  onSend(text) {
    outbox.add(composer.name, text);
    log.showEnd();
  },
  async useOtherToken() {
    await askForToken("");
    composer.isDenied = false;
    stream.wake();
  },
});

// MARK: The room

const stream = new Stream({
  get position() {
    return history.position;
  },
  received,
  began(position) {
    history.position ??= position;
  },
  gap,
  needsToken(reason) {
    streamState = "needsToken";
    showState();
    return askForToken(reason);
  },
  state(state) {
    streamState = state;
    showState();
    if (state === "online") outbox.wake();
  },
});

element("empty").querySelector("h2").textContent = texts.emptyTitle;
element("empty").querySelector("p").textContent = texts.emptyText;
top.querySelector("button").textContent = texts.loadOlder;
top.querySelector("button").addEventListener("click", loadOlder);
showState();
outbox.restore();
stream.run();

// Safari does not make the page smaller when it shows its keyboard.
visualViewport?.addEventListener("resize", () => {
  if (visualViewport.scale !== 1) return;
  document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
  scrollTo(0, 0);
});
