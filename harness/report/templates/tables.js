"use strict";
// Tables: a button in each head sorts by that column, and one below each table downloads it. A cell's data-v is the exact
// value of what it shows; data-low and data-high are its interval.
(() => {
  const value = (cell) => (cell ? cell.dataset.v ?? Download.plain(cell.textContent) : "");
  const drawn = (cell) => cell.classList.contains("plot") || cell.classList.contains("slim");
  const order = new Intl.Collator("en", { numeric: true }).compare;

  function heads(table) { // the head of each column in the last row of heads, and the texts of all heads above it
    const grid = [];
    [...(table.tHead?.rows ?? [])].forEach((row, line) => {
      let column = 0;
      for (const cell of row.cells) {
        while (grid[column]?.lines > line) column++;
        for (let i = 0; i < cell.colSpan; i++, column++) {
          const above = grid[column]?.texts ?? [];
          grid[column] = { cell, wide: cell.colSpan > 1, lines: line + cell.rowSpan, texts: [...above, Download.plain(cell.dataset.v ?? cell.textContent)] };
        }
      }
    });
    return grid;
  }
  const number = (cell) => { const text = value(cell).replace(/ %$/, ""); return text !== "" && Number.isFinite(Number(text)) ? Number(text) : null; };
  function compare(a, b) { // numbers before texts
    const left = number(a), right = number(b);
    if (left !== null && right !== null) return left - right;
    return left !== null ? -1 : right !== null ? 1 : order(value(a), value(b));
  }
  function sort(table, column, way) { // within each group of rows; cells without a value stay last
    const sign = way === "d" ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      rows.forEach((row) => { row.place ??= row.rowIndex; });
      const empty = (row) => value(row.cells[column]) === "";
      const by = (a, b) => empty(a) - empty(b) || sign * compare(a.cells[column], b.cells[column]) || a.place - b.place;
      body.append(...rows.sort(way ? by : (a, b) => a.place - b.place));
    }
    heads(table).forEach(({ cell, wide }, index) => {
      if (wide || !cell.querySelector(".sort")) return;
      way && index === column ? cell.setAttribute("aria-sort", way === "d" ? "descending" : "ascending") : cell.removeAttribute("aria-sort");
    });
    table.dataset.sorted = way ? `${column}${way}` : "";
    View.set({ [`sort.${table.dataset.csv}`]: table.dataset.sorted });
  }
  function sortable(table) {
    heads(table).forEach(({ cell, wide }, column) => {
      if (wide || drawn(cell) || !cell.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button"; button.className = "sort"; button.append(...cell.childNodes);
      cell.append(button);
      const first = cell.classList.contains("num") ? "d" : "a", second = first === "d" ? "a" : "d";
      button.addEventListener("click", () => {
        const now = table.dataset.sorted;
        sort(table, column, now === `${column}${first}` ? second : now === `${column}${second}` ? "" : first);
      });
    });
    const [, column, way] = /^(\d+)([ad])$/.exec(View.get(`sort.${table.dataset.csv}`) ?? "") ?? [];
    if (way && heads(table)[column]) sort(table, Number(column), way);
  }
  function rows(table) { // of a table whose cells are sentences, data-rows has the numbers; a column without a name is not saved
    if (table.dataset.rows) return JSON.parse(table.dataset.rows);
    const columns = heads(table).map((head, index) => ({ ...head, index })).filter(({ cell }) => !drawn(cell) && cell.dataset.csvName !== "");
    const bodies = [...table.tBodies].flatMap((body) => {
      let group = "";
      return [...body.rows].flatMap((row) => {
        if (row.classList.contains("group")) { group = Download.plain(row.textContent); return []; }
        return [...row.cells].every((cell) => drawn(cell) || cell.scope === "row") ? [] : [{ group, cells: row.cells }];
      });
    });
    const grouped = bodies.some(({ group }) => group), has = ({ index }, end) => bodies.some(({ cells }) => cells[index]?.dataset[end]);
    const name = ({ cell, texts }) => (cell.dataset.csvName ?? [...new Set(texts.filter(Boolean))].join(", ")) + (cell.dataset.unit ? ` (${cell.dataset.unit})` : "");
    const out = columns.flatMap((column) => [
      { head: name(column), of: (cells) => value(cells[column.index]) },
      ...["low", "high"].filter((end) => has(column, end)).map((end) => ({ head: `${name(column)}, ${end}`, of: (cells) => cells[column.index]?.dataset[end] ?? "" })),
    ]);
    const head = columns.length ? [[...(grouped ? ["group"] : []), ...out.map((each) => each.head)]] : [["name", "value"]];
    return [...head, ...bodies.map(({ group, cells }) => (columns.length ? [...(grouped ? [group] : []), ...out.map((each) => each.of(cells))] : [...cells].map(value)))];
  }
  document.querySelectorAll("table[data-csv]").forEach((table) => {
    if (table.tHead && !table.classList.contains("side")) sortable(table);
    const outer = table.closest(".scroll") ?? table, buttons = [Download.button(table.dataset.csv, table.dataset.what ?? "table", () => rows(table))];
    if (table.classList.contains("ridges")) buttons.push(Download.button(`${table.dataset.csv}-distributions`, "distributions", () => distributions(table)));
    if (table.querySelector("[data-seeds]")) buttons.push(Download.button(`${table.dataset.csv}-seeds`, "dots of seeds", () => seeds(table)));
    Download.after(outer, ...buttons);
  });
  function distributions(table) {
    const low = Math.log(table.dataset.low), high = Math.log(table.dataset.high), out = [["task", "distribution", "from_ns", "to_ns", "count"]];
    table.querySelectorAll(".ridge").forEach((lane) => {
      const bins = lane.dataset.bins.split(","), edge = (at) => Number(Math.exp(low + ((high - low) * at) / bins.length).toPrecision(6));
      const row = lane.closest("tr"), kind = lane.closest("td").dataset.kind;
      bins.forEach((count, at) => out.push([Download.plain(row.cells[0].textContent), kind, edge(at), edge(at + 1), count]));
    });
    return out;
  }
  function seeds(table) {
    const all = heads(table), out = [["predictor", "switches", "seed", "value"]];
    table.querySelectorAll("[data-seeds]").forEach((cell) => {
      const about = [value(cell.parentElement.querySelector("th")), all[cell.cellIndex].texts.at(-1)];
      cell.dataset.seeds.split(" ").forEach((pair) => out.push([...about, ...pair.split("=")]));
    });
    return out;
  }
  document.querySelectorAll("figure.course").forEach((figure) => {
    const lines = [...figure.querySelectorAll(".curve")];
    Download.after(figure.lastElementChild, Download.button(figure.dataset.csv, "curves", () => [[figure.dataset.x, "seed", "value"],
      ...lines.flatMap((line) => line.getAttribute("points").split(" ").map((point) => { const [x, y] = point.split(","); return [x, line.dataset.seed, y]; }))]));
  });
  document.querySelectorAll("figure.rollout").forEach((figure) => {
    const [names, real, generated] = JSON.parse(figure.dataset.strips);
    Download.after(figure.querySelector(".legend"), Download.button(figure.dataset.csv, "strips", () => [["position", "kernel", "generated"],
      ...real.map((mark, at) => [at, names[mark], names[generated[at]] ?? ""])]));
  });
})();
