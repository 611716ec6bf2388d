"use strict";
// Reads shares off the distributions, keeps what is folded, and unfolds everything to print.
(() => {
  const time = (ns) => {
    for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
      if (ns >= size * 0.9995) return `${Number((ns / size).toPrecision(2))} ${unit}`;
    return `${Math.round(ns)} ns`;
  };
  document.querySelectorAll(".ridges").forEach((table) => {
    const low = Math.log(Number(table.dataset.low)), high = Math.log(Number(table.dataset.high));
    const readout = table.querySelector(".readout");
    table.querySelectorAll(".ridge").forEach((lane) => {
      const bins = lane.dataset.bins.split(",").map(Number), all = bins.reduce((sum, n) => sum + n, 0);
      const cell = lane.closest("td"), kind = cell.dataset.kind === "slice length" ? "slices" : "wakeups";
      const task = cell.parentElement.querySelector("th").textContent.trim();
      lane.addEventListener("pointermove", (event) => {
        const box = lane.getBoundingClientRect(), share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
        const upto = Math.round(share * bins.length), below = bins.slice(0, upto).reduce((sum, n) => sum + n, 0);
        const edge = Math.exp(low + ((high - low) * upto) / bins.length);
        readout.value = `${task}: ${((100 * below) / all).toFixed(1)} % of ${all} ${kind} below ${time(edge)}`;
      });
      lane.addEventListener("pointerleave", () => { readout.value = ""; });
    });
  });
  const folds = [...document.querySelectorAll("details")], first = folds.map((fold) => fold.open);
  const turned = () => folds.flatMap((fold, at) => (fold.open !== first[at] ? [at] : [])).join(" ");
  (View.get("folds") ?? "").split(" ").filter(Boolean).forEach((at) => { if (folds[at]) folds[at].open = !first[at]; });
  let printed = null; // what was open before printing
  folds.forEach((fold) => fold.addEventListener("toggle", () => { if (!printed) View.set({ folds: turned() }); }));
  addEventListener("beforeprint", () => { printed = folds.map((fold) => fold.open); folds.forEach((fold) => { fold.open = true; }); });
  addEventListener("afterprint", () => { folds.forEach((fold, at) => { fold.open = printed[at]; }); setTimeout(() => { printed = null; }); });
  View.show();
  document.documentElement.dataset.page = "ready";
})();
