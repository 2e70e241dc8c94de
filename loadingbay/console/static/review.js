// The review by keyboard: what the desk holds comes from the console; here it is only shown, and keys are sent.
"use strict";

const drawn = () => crypto.randomUUID().replaceAll("-", "");
const tab = (sessionStorage.desk ??= drawn());
const page = drawn();
const desk = document.getElementById("desk");
const photo = document.getElementById("photo");
const nothing = document.getElementById("nothing");
const paused = document.getElementById("paused");
let current = null;
let busy = false;
let pause = 0;

const address = (one, what) => `/review/${tab}/${one}/${what}`;

function show(state) {
  current = state.photos[0] ?? null;
  desk.hidden = current === null;
  nothing.hidden = current !== null;
  paused.hidden = true;
  document.getElementById("answer").textContent = "";
  const left = state.unreadable ? ` ${state.unreadable} could not be read and stay in the queue.` : "";
  document.getElementById("count").textContent = `About ${state.waiting} wait; you labelled ${state.labelled}.${left}`;
  document.querySelector("[data-act=undo]").disabled = !state.undo;
  clearTimeout(pause);
  if (current === null) return;
  pause = setTimeout(rest, state.seconds * 1000);
  photo.src = address(current, "photo");
  if (state.photos[1]) new Image().src = address(state.photos[1], "photo");
}

async function act(word, fields = {}) {
  if (busy) return;
  busy = true;
  try {
    show(await (await send(`/review/${word}`, new URLSearchParams({ tab, page, ...fields }))).json());
    say("");
  } catch (error) {
    say(error.message);
  } finally {
    busy = false;
  }
}

// Whoever is away for so long holds nothing: others are shown the photo from now on.
function rest() {
  current = null;
  desk.hidden = true;
  paused.hidden = false;
  leave();
}

function leave() {
  send("/review/leave", new URLSearchParams({ tab, page }), true).catch(() => {});
}

async function answer() {
  const place = document.getElementById("answer");
  const reply = await fetch(address(current, "answer"));
  if (!reply.ok) { place.textContent = "The answer cannot be shown: load the page anew."; return; }
  const said = await reply.json();
  const confidence = typeof said.confidence === "number" ? ` at ${said.confidence.toFixed(3)}` : "";
  const threshold = typeof said.threshold === "number" ? `, threshold ${said.threshold.toFixed(3)}` : "";
  const why = said.reason ? `; ${said.reason}` : "";
  place.textContent = `The model says ${said.label}${confidence}${threshold}${why}. The photo: ${said.photo}`;
}

function press(button) {
  if (button.disabled) return;
  if (button.dataset.act === "undo") { act("undo"); return; }
  if (current === null) return;
  if (button.dataset.truth) act("label", { number: current, truth: button.dataset.truth });
  else if (button.dataset.act === "skip") act("skip", { number: current });
  else answer();
}

photo.addEventListener("error", () => say("This photo cannot be shown: it was deleted, or is no PNG or JPEG. Skip it, or label it by what you know."));
desk.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) press(button);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = [...desk.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
  if (button) { event.preventDefault(); press(button); }
});
for (const button of document.querySelectorAll(".again")) button.addEventListener("click", () => act("take"));
// Whoever leaves gives the photos back; a reload takes others, or the same again.
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", () => act("take"));
