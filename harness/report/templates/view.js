"use strict";
// The view in the fragment of the address, so that a reload, a bookmark or a colleague sees the same:
// "#cpu&trial=000_nginx_ab,0&from=...", a place on the page and then keys with values.
const View = (() => {
  const read = () => {
    const parts = location.hash.slice(1).split("&"), pairs = parts.filter((part) => part.includes("="));
    const plain = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
    return { place: parts[0].includes("=") ? "" : parts[0], values: new Map(pairs.map((pair) => pair.split("=", 2).map(plain))) };
  };
  let { place, values } = read(), waiting = 0, written = location.hash;
  function write() {
    clearTimeout(waiting); waiting = 0;
    const pairs = [...values].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
    const next = [place, ...pairs].join("&"), whole = next ? `#${place ? next : next.slice(1)}` : "";
    if (whole !== location.hash) history.replaceState(null, "", whole || location.pathname + location.search);
    written = location.hash;
  }
  function set(changes) { // null or "" removes a key
    for (const [key, value] of Object.entries(changes)) value === null || value === "" ? values.delete(key) : values.set(key, String(value));
    waiting ||= setTimeout(write, 300); // browsers limit how often an address may change
  }
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    const next = read();
    if (next.values.size) return location.reload(); // another view was typed or pasted
    place = next.place; write(); // a link of the page: the browser has gone there
  });
  addEventListener("pagehide", () => { if (waiting) write(); });
  return { get: (key) => values.get(key), set, write, show: () => { if (values.size && place) document.getElementById(place)?.scrollIntoView(); } };
})();
