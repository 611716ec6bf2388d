// Uses the page as a reader does, and keeps what it shows and what it would save.
const saved = {};
let last = "";
globalThis.Blob = class { constructor(parts) { this.content = parts.join(""); } };
URL.createObjectURL = (blob) => { last = blob.content; return "#"; };
HTMLAnchorElement.prototype.click = function () { saved[this.download] = last; };
addEventListener("load", () => {
  const table = document.querySelector("table[data-csv=seeds]"), head = [...table.querySelectorAll(".sort")].find((one) => one.textContent.startsWith("parameters"));
  const column = head.closest("th").cellIndex, values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.v));
  const before = values(), out = { before };
  document.querySelectorAll("details").forEach((fold) => { if (fold.contains(table)) fold.open = true; });
  head.focus(); head.click(); out.down = values(); out.downSaid = head.closest("th").getAttribute("aria-sort");
  head.click(); out.up = values(); out.upSaid = head.closest("th").getAttribute("aria-sort");
  head.click(); out.again = values(); out.againSaid = head.closest("th").getAttribute("aria-sort");
  head.click();
  out.without = [...document.querySelectorAll("table")].filter((one) => !one.dataset.csv).length;
  out.guarded = Download.csv([["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "a=1"], ["-1", -1, -2.5e-9, "+3", "", null]]);
  document.querySelectorAll("button.csv").forEach((button) => button.click());
  const pick = document.getElementById("timeline-pick"), predictor = document.getElementById("timeline-predictor"), main = document.getElementById("timeline-main");
  const press = (key) => main.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  pick.value = "1"; pick.dispatchEvent(new Event("change"));
  predictor.value = "lstm_s0"; predictor.dispatchEvent(new Event("change"));
  press("m"); out.miss = document.getElementById("timeline-read").value;
  setTimeout(() => { // the address follows a little later
    Object.assign(out, { files: saved, hash: location.hash });
    document.body.dataset.out = encodeURIComponent(JSON.stringify(out));
  }, 1000);
});
