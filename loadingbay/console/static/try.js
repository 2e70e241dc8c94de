// Sends dropped or chosen photos: one to the state machine, several to a bulk run.
"use strict";

const drop = document.getElementById("drop");

async function sendPhotos(files) {
  const place = document.getElementById("sending");
  if (!files.length) return;
  try {
    if (files.length === 1) {
      place.textContent = "Sending the photo.";
      const answer = await send(`/photos?name=${encodeURIComponent(files[0].name)}`, files[0]);
      location.assign((await answer.json()).location);
      return;
    }
    const id = crypto.randomUUID().replaceAll("-", "");
    let sent = 0;
    for (const file of files) {
      await send(`/photos/bulk/${id}/photo?name=${encodeURIComponent(file.name)}`, file);
      sent += 1;
      place.textContent = `${sent} of ${files.length} sent.`;
    }
    const started = await send("/photos/bulk", new URLSearchParams({ id }));
    location.assign(started.url);
  } catch (error) {
    place.textContent = "";
    say(error.message);
  }
}

if (drop) {
  document.getElementById("files").addEventListener("change", (event) => sendPhotos([...event.target.files]));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    sendPhotos([...event.dataTransfer.files]);
  });
}
