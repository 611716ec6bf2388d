"use strict";
// Data of the page as CSV files (RFC 4180), made when they are asked for.
const Download = (() => {
  function field(value) {
    let text = String(value ?? "");
    if (text !== "" && !Number.isFinite(Number(text)) && /^[=+\-@\t\r\n]/.test(text)) text = `'${text}`; // a spreadsheet would take it for a formula
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  const csv = (rows) => rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  function save(name, rows) {
    const address = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), link = document.createElement("a");
    link.href = address; link.download = `${name.replace(/[^\w.-]+/g, "_")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }
  function button(name, what, rows) {
    const made = document.createElement("button");
    made.type = "button"; made.className = "csv"; made.textContent = `${what} (CSV)`;
    made.setAttribute("aria-label", `${what} (CSV): ${name}`);
    made.addEventListener("click", () => save(name, rows()));
    return made;
  }
  function after(element, ...buttons) {
    const line = document.createElement("p");
    line.className = "data"; line.append(...buttons);
    element.after(line);
  }
  // A number or a text as it is shown, without the spaces and signs that are only for the eye.
  const plain = (text) => text.replace(/(\d)\u202f(?=\d)/g, "$1").trim().replace(/\s+/g, " ").replace(/^\u2212(?=\d)/, "-").replace(/^\u2013$/, "");
  return { csv, button, after, plain };
})();
