// Uses the page of a comparison as a reader does, and keeps what it shows and what it would save.
// Frames come in real time, for which the browser's virtual time does not wait; timers it does wait for.
globalThis.requestAnimationFrame = (after) => setTimeout(after, 0);
const saved = {};
let last = "";
globalThis.Blob = class { constructor(parts) { this.content = parts.join(""); } };
URL.createObjectURL = (blob) => { last = blob.content; return "#"; };
HTMLAnchorElement.prototype.click = function () { saved[this.download] = last; };
addEventListener("load", () => {
  const part = (side, name) => document.getElementById(`timeline-${side}-${name}`), read = (side) => part(side, "read").value.replace(/: .*/, "");
  const frame = (after) => requestAnimationFrame(() => requestAnimationFrame(after));
  const press = (key) => part("first", "main").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const out = { start: [read("first"), read("second")], height: [part("first", "main").height, part("second", "main").height] };
  press("+"); press("ArrowRight");
  frame(() => {
    out.moved = [read("first"), read("second")];
    part("second", "legend").querySelector("button").click();
    out.hidden = [part("first", "main").height, part("second", "main").height];
    out.without = [...document.querySelectorAll("table")].filter((one) => !one.dataset.csv).length;
    document.querySelectorAll("button.csv").forEach((button) => button.click());
    Object.assign(out, { files: saved });
    document.body.dataset.out = encodeURIComponent(JSON.stringify(out));
  });
});
