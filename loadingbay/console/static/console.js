// What every page does: times in the reader's zone, parts that change while it is open, a link for another browser.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;

function local(text) {
  const moment = new Date(text);
  const today = moment.toDateString() === new Date().toDateString();
  const shape = today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, shape).format(moment);
}

function localTimes(inside) {
  for (const time of inside.querySelectorAll("time[datetime]")) {
    time.textContent = local(time.dateTime);
    time.title = time.dateTime;
  }
  for (const tick of inside.querySelectorAll("text[data-time]")) tick.textContent = local(tick.dataset.time);
}

function say(sentence) {
  const trouble = document.getElementById("trouble");
  if (trouble.textContent !== sentence) trouble.textContent = sentence;
}

const GONE = "The console does not answer: start it again with `loadingbay console`, and open the address that it prints.";

// A part is put in anew only when it changed; what was opened or focused inside stays so.
function replace(element, html) {
  const open = [...element.querySelectorAll("details")].map((one) => one.open);
  const scrolled = [...element.querySelectorAll("pre")].map((one) => [one.scrollTop, one.scrollHeight - one.clientHeight - one.scrollTop < 8]);
  element.innerHTML = html;
  element.querySelectorAll("details").forEach((one, n) => { one.open = open[n] ?? false; });
  element.querySelectorAll("pre").forEach((one, n) => {
    const [top, atEnd] = scrolled[n] ?? [0, true];
    one.scrollTop = atEnd ? one.scrollHeight : top;
  });
  localTimes(element);
}

// The server closes a stream whose subject has ended. A hidden page listens to nothing: a browser has few connections.
function listen(address) {
  let source = null;
  let ended = false;
  const open = () => {
    if (source || ended) return;
    source = new EventSource(address);
    source.onmessage = (event) => {
      const { id, html } = JSON.parse(event.data);
      if (id === "trouble") {
        const plain = new DOMParser().parseFromString(html, "text/html").body.textContent;
        say(plain);
        return;
      }
      const element = document.getElementById(id);
      if (element) replace(element, html);
    };
    source.addEventListener("end", () => { ended = true; close(); });
    source.onopen = () => say("");
    source.onerror = () => {
      say(GONE);
      if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
    };
  };
  const close = () => { if (source) source.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
}

// Sends a form's fields, or a file as it is; the answer, or an Error with the sentence that the console gave.
async function send(address, body, keepalive = false) {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", headers: { "X-CSRF-Token": csrf, Accept: "application/json" }, body, keepalive });
  } catch {
    throw new Error(GONE);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  throw new Error((page.querySelector(".failure") ?? page.body).textContent.trim());
}

localTimes(document);
const live = document.querySelector("[data-live]");
if (live) listen(live.dataset.live);

document.getElementById("another").addEventListener("submit", async (event) => {
  event.preventDefault();
  const output = document.getElementById("another-address");
  try {
    output.textContent = `Open once: ${await (await send("/another-browser", new URLSearchParams())).text()}`;
  } catch (error) {
    output.textContent = error.message;
  }
});
