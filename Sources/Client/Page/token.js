// Asks for the token, where the program wants one.

import { memory } from "./requests.js";
import { texts } from "./texts.js";

const dialog = document.getElementById("token");
const value = document.getElementById("token-value");
const fault = document.getElementById("token-fault");
let asking = null;

document.getElementById("token-title").textContent = texts.tokenTitle;
document.getElementById("token-why").textContent = texts.tokenWhy;
dialog.querySelector("label").textContent = texts.tokenLabel;
dialog.querySelector("button").textContent = texts.tokenDone;
dialog.addEventListener("cancel", (event) => event.preventDefault());

/** Asks until there is a token, and says why the one before was not enough. All callers wait for the same answer. */
export function askForToken(reason = memory.get("token") ? texts.tokenWrong : "") {
  asking ??= new Promise((resolve) => {
    fault.textContent = reason;
    value.value = "";
    dialog.showModal();
    dialog.firstElementChild.onsubmit = (event) => {
      event.preventDefault();
      const token = value.value.trim();
      // Nothing else fits into a header.
      if (!/^[!-~]+$/.test(token)) return void (fault.textContent = texts.tokenWrong);
      memory.set("token", token);
      asking = null;
      dialog.close();
      resolve();
    };
  });
  return asking;
}
