"use strict";
// The timeline: unpacks the slices of one CPU and draws those in the window [from, to).
document.querySelectorAll("figure.timeline").forEach((figure) => {
  const find = (id) => document.getElementById(`${figure.id}-${id}`);
  // The only timeline of a page keeps its view in the address under plain names, others with their id before them.
  const key = (name) => (figure.id === "timeline" ? name : `${figure.id}.${name}`), kept = (name) => View.get(key(name));
  const keep = (changes) => View.set(Object.fromEntries(Object.entries(changes).map(([name, value]) => [key(name), value])));
  const group = figure.dataset.group; // timelines of a group are moved, and their rows hidden, together
  const tell = (what) => group && document.dispatchEvent(new CustomEvent(`timeline-${group}`, { detail: { by: figure, ...what } }));
  const metas = JSON.parse(find("meta").textContent);
  const packed = figure.querySelectorAll(".timeline-data");
  const main = find("main"), over = find("over"), tip = find("tip"), read = find("read"), legend = find("legend");
  const pick = find("pick"), predictor = find("predictor"), stage = main.parentElement, pen = main.getContext("2d"), overPen = over.getContext("2d");
  const paper = matchMedia("print"); // has the width and the colours of paper from the moment it changes
  const ROW = 24, AXIS = 24, OVER = 40, CLOSEST = 200;
  let data, meta, rows = [], hidden = new Set(), from = 0, to = 1, begin = 0, end = 1, chosen = -1, gutter = 120, colours = {}, queued = 0;
  let shown = kept("hide") ? { hidden: kept("hide").split(" ").map(Number) } : null;
  let wanted = kept("predictor") === "none" ? "" : kept("predictor");
  let hits = null, above = 0; // of the chosen predictor, and the height of its row
  let busy = null; // the overview's columns, kept until the width or the recording changes

  // Five LEB128 numbers per slice; see timeline.py.
  function unpack(index) {
    const raw = atob(packed[index].textContent.trim()), n = metas[index].shown;
    const out = { n, start: new Float64Array(n), length: new Float64Array(n), wait: new Float64Array(n),
      slot: new Uint8Array(n), contested: new Uint8Array(n), state: new Uint16Array(n), sum: 0 };
    let at = 0, last = 0;
    const next = () => {
      let value = 0, scale = 1, byte;
      do { byte = raw.charCodeAt(at++); value += (byte & 127) * scale; scale *= 128; } while (byte > 127);
      return value;
    };
    for (let i = 0; i < n; i++) {
      const gap = next();
      out.start[i] = last + (gap % 2 ? -(gap + 1) / 2 : gap / 2);
      out.length[i] = next();
      const kind = next();
      out.slot[i] = Math.floor(kind / 2); out.contested[i] = kind % 2;
      out.state[i] = next();
      out.wait[i] = next() - 1;
      last = out.start[i] + out.length[i];
      out.sum += out.length[i];
    }
    return out;
  }

  function time(ns) {
    for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
      if (Math.abs(ns) >= size * 0.9995) return `${Number((ns / size).toPrecision(3))} ${unit}`;
    return `${Math.round(ns)} ns`;
  }
  const unitOf = (ns) => [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]].find(([size]) => Math.abs(ns) >= size) ?? [1, "ns"];
  function moment(at, step) { // a time since the recording began, as fine as `step`
    const ns = at + meta.skipped, [size, unit] = unitOf(ns);
    return `${(ns / size).toFixed(Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9))))} ${unit}`;
  }
  const label = (slot) => (meta.tasks.find(([number]) => number === slot) || [slot, "?"])[1];

  // One bit for each of the last slices, counted up so that any window is known at once; see hits.py.
  function unpackHits(found) {
    if (!found) return null;
    const [name, title, n, bits] = found, raw = atob(bits), start = data.n - n, is = new Uint8Array(n), sums = new Uint32Array(n + 1);
    for (let i = 0; i < n; i++) { is[i] = (raw.charCodeAt(i >> 3) >> (i & 7)) & 1; sums[i + 1] = sums[i] + is[i]; }
    return { name, title, start, is: (i) => (i < start ? undefined : is[i - start] === 1),
      count: (low, high) => { const a = Math.max(0, low - start), b = Math.max(a, high - start); return [sums[b] - sums[a], b - a]; } };
  }
  function predict(name) {
    hits = unpackHits(meta.hits.find(([known]) => known === name));
    above = hits ? ROW : 0;
    predictor.value = hits ? name : "";
  }

  function open(index) {
    pick.value = String(index);
    meta = metas[index]; data = unpack(index); busy = null; chosen = -1;
    const last = data.n ? Math.max(1, data.start[data.n - 1] + data.length[data.n - 1]) : 1;
    [begin, end] = meta.window ?? [0, last];
    const option = (value, text) => Object.assign(document.createElement("option"), { value, text });
    predictor.replaceChildren(...meta.hits.map(([name, title]) => option(name, title)), option("", "no predictor"));
    find("of").hidden = !meta.hits.length;
    const miss = figure.querySelector("[data-do=miss]");
    if (miss) miss.hidden = !meta.hits.length;
    predict(meta.hits.some(([name]) => name === wanted) ? wanted : wanted === "" ? "" : meta.hits[0]?.[0]);
    hidden = new Set(shown ? shown.hidden : []); shown = null;
    legend.replaceChildren(...meta.tasks.map(([slot, name]) => {
      const button = document.createElement("button"), mark = document.createElement("i");
      button.type = "button"; button.setAttribute("aria-pressed", String(!hidden.has(slot)));
      mark.className = `b${slot}`;
      button.append(mark, name);
      button.addEventListener("click", () => {
        hidden.has(slot) ? hidden.delete(slot) : hidden.add(slot);
        hide(); tell({ hidden: [...hidden] });
      });
      return button;
    }));
    view(...(meta.view ?? [begin, end])); layout();
  }
  function hide() {
    legend.querySelectorAll("button").forEach((button, row) => button.setAttribute("aria-pressed", String(!hidden.has(meta.tasks[row][0]))));
    keep({ hide: [...hidden].join(" ") });
    layout();
  }

  function size(canvas, context, height) {
    const ratio = paper.matches ? 3 : window.devicePixelRatio || 1, width = Math.max(200, figure.clientWidth);
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = `12px ${getComputedStyle(document.body).getPropertyValue("--sans") || "sans-serif"}`;
    return width;
  }
  function layout() {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(["ink", "soft", "rule", "faint", "paper", "bad", "good", "wash", ...Array.from({ length: 13 }, (_, i) => `t${i}`)]
      .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    rows = meta.tasks.map(([slot]) => slot).filter((slot) => !hidden.has(slot));
    gutter = figure.clientWidth < 560 ? 84 : 136;
    size(main, pen, above + rows.length * ROW + AXIS); size(over, overPen, OVER);
    busy = null; draw();
  }
  const width = () => main.clientWidth - gutter;
  const x = (ns) => gutter + ((ns - from) / (to - from)) * width();
  const ns = (px) => from + ((px - gutter) / width()) * (to - from);

  function view(low, high, told = false) {
    const span = Math.min(Math.max(high - low, CLOSEST), end - begin);
    from = Math.min(Math.max(low, begin), end - span); to = from + span;
    keep(span < end - begin ? { from: Math.round(from), to: Math.round(to) } : { from: null, to: null });
    if (!told) tell({ low: from - begin, high: to - begin });
    if (!queued) queued = requestAnimationFrame(() => { queued = 0; draw(); });
  }
  const zoom = (factor, at = (from + to) / 2) => view(at - (at - from) * factor, at + (to - at) * factor);
  const pan = (share) => view(from + share * (to - from), to + share * (to - from));
  function first(at) { // the first slice that ends after `at`
    let low = 0, high = data.n;
    while (low < high) { const mid = (low + high) >> 1; data.start[mid] + data.length[mid] <= at ? (low = mid + 1) : (high = mid); }
    return low;
  }
  function columns(low, high, count, lines, lineOf) { // share of each column's time that each line was on the CPU
    const shares = new Float32Array(count * lines), step = (high - low) / count;
    for (let i = first(low); i < data.n && data.start[i] < high; i++) {
      const line = lineOf(data.slot[i]);
      if (line < 0) continue;
      const a = Math.max(0, (data.start[i] - low) / step), b = Math.min(count, (data.start[i] + data.length[i] - low) / step);
      for (let c = Math.floor(a); c < b; c++) shares[line * count + c] += Math.min(b, c + 1) - Math.max(a, c);
    }
    return shares;
  }

  function draw() {
    const wide = main.clientWidth, plot = Math.max(1, Math.floor(width())), lines = rows.length;
    const lineOf = Object.fromEntries(rows.map((slot, line) => [slot, line]));
    const started = performance.now();
    pen.clearRect(0, 0, wide, above + lines * ROW + AXIS);
    pen.textBaseline = "middle"; pen.textAlign = "left";
    const low = first(from), high = first(to), many = high - low > plot / 3;
    if (hits) outcomes(low, high, many, wide);
    pen.save(); pen.translate(0, above);
    rows.forEach((slot, line) => {
      pen.fillStyle = colours.faint; pen.fillRect(0, (line + 1) * ROW - 1, wide, 1);
      pen.fillStyle = colours[`t${slot}`]; pen.fillRect(0, line * ROW + 7, 9, 9);
      pen.fillStyle = colours.ink; text(label(slot), 15, line * ROW + ROW / 2, gutter - 22);
    });
    if (many) far(plot, lineOf, lines); else near(low, high, lineOf);
    axis(lines * ROW, wide);
    pen.restore();
    overview();
    figure.dataset.drawMs = (performance.now() - started).toFixed(1);
    if (chosen < 0) read.value = `${moment(from, (to - from) / 1e3)} to ${moment(to, (to - from) / 1e3)} of ${time(end - begin)}: ${Math.min(data.n, high - low + 1)} slices${scored(low, Math.min(data.n, high + 1))}`;
  }
  function scored(low, high) {
    const [right, all] = hits ? hits.count(low, high) : [0, 0];
    return !hits ? "" : all ? `; ${hits.title}: ${right} of ${all} scored switches hit (${((100 * right) / all).toFixed(1)} %)` : `; ${hits.title}: none of them in the test part`;
  }
  function outcomes(low, high, many, wide) { // hits go up from the middle of the row, misses down
    const middle = ROW / 2, half = middle - 3;
    pen.fillStyle = colours.faint; pen.fillRect(0, ROW - 1, wide, 1); pen.fillRect(gutter, middle, width(), 1);
    pen.fillStyle = colours.ink; text(hits.title, 0, middle, gutter - 8);
    const mark = (left, right, good, bad) => {
      pen.fillStyle = colours.good; pen.fillRect(left, middle - half * good, right, half * good);
      pen.fillStyle = colours.bad; pen.fillRect(left, middle + 1, right, half * bad);
    };
    if (many) {
      const plot = Math.max(1, Math.floor(width())), step = (to - from) / plot;
      for (let c = 0, a = low; c < plot; c++) {
        const b = Math.max(a, first(from + (c + 1) * step)), [right, all] = hits.count(a, b);
        if (all) mark(gutter + c, 1, right / all, 1 - right / all);
        a = b;
      }
      return;
    }
    for (let i = low; i <= high && i < data.n; i++) {
      const is = hits.is(i), left = x(data.start[i]), room = Math.min(6, Math.max(1, (x(data.start[i] + data.length[i]) - left) * 0.8));
      if (is !== undefined && left >= gutter) mark(left, room, is ? 1 : 0, is ? 0 : 1);
    }
  }
  function text(value, left, middle, room) { // shortened to fit
    const mark = value.lastIndexOf("#"), tail = mark > 0 ? value.slice(mark) : "";
    let shown = value, head = value.slice(0, value.length - tail.length);
    while (head && pen.measureText(shown).width > room) { head = head.slice(0, -1); shown = `${head}…${tail}`; }
    pen.fillText(shown, left, middle);
  }
  function far(plot, lineOf, lines) {
    const shares = columns(from, to, plot, lines, (slot) => lineOf[slot] ?? -1);
    rows.forEach((slot, line) => {
      pen.fillStyle = colours[`t${slot}`];
      for (let c = 0; c < plot; c++) {
        const share = shares[line * plot + c];
        if (share > 0) { const tall = Math.max(1.5, Math.min(1, share) * (ROW - 5)); pen.fillRect(gutter + c, (line + 1) * ROW - 2 - tall, 1, tall); }
      }
    });
  }
  function near(low, high, lineOf) {
    pen.save(); pen.beginPath(); pen.rect(gutter, 0, width(), rows.length * ROW); pen.clip();
    for (let i = low; i <= high && i < data.n; i++) {
      const line = lineOf[data.slot[i]];
      if (line === undefined) continue;
      const left = x(data.start[i]), wide = Math.max(0.75, x(data.start[i] + data.length[i]) - left), top = line * ROW;
      if (data.wait[i] > 0) { const woke = x(data.start[i] - data.wait[i]); pen.fillStyle = colours.soft; pen.fillRect(woke, top + ROW / 2, left - woke, 1); pen.fillRect(woke, top + ROW / 2 - 3, 1, 7); }
      pen.fillStyle = colours[`t${data.slot[i]}`]; pen.fillRect(left, top + 5, Math.max(0.75, wide - (wide > 3 ? 0.5 : 0)), ROW - 8);
      if (data.contested[i]) { pen.fillStyle = colours.ink; pen.fillRect(left, top + 2, Math.max(1.5, Math.min(wide, 5)), 2); }
      if (i === chosen) { pen.strokeStyle = colours.ink; pen.lineWidth = 2; pen.strokeRect(left - 1, top + 4, wide + 2, ROW - 6); }
      if (wide > 56) { pen.fillStyle = colours.paper; pen.fillText(time(data.length[i]), Math.max(left, gutter) + 4, top + ROW / 2 + 1); }
    }
    pen.restore();
  }
  function axis(top, wide) { // deep in a recording, ticks count from a round time that stands at the left
    const raw = (to - from) / Math.max(2, width() / 130), power = 10 ** Math.floor(Math.log10(raw));
    const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= raw) * power), [size, unit] = unitOf(step);
    const low = from + meta.skipped, high = to + meta.skipped, base = high >= 1000 * size ? Math.floor(low / (1000 * size)) * 1000 * size : 0;
    const digits = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
    pen.fillStyle = colours.soft;
    if (base) { pen.textAlign = "left"; pen.fillText(`${moment(base - meta.skipped, 1000 * size)} +`, 0, top + 14); }
    pen.textAlign = "center";
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
      const name = `${((at - base) / size).toFixed(digits)} ${unit}`, half = pen.measureText(name).width / 2, left = x(at - meta.skipped);
      pen.fillRect(left, top, 1, 4);
      pen.fillText(name, Math.min(Math.max(left, gutter + half), wide - half), top + 14);
    }
    figure.dataset.step = `${step / size} ${unit}`;
  }
  function overview() {
    const wide = over.clientWidth, plot = Math.max(1, Math.floor(wide));
    busy ||= columns(begin, end, plot, 1, (slot) => (slot === 0 ? -1 : 0));
    overPen.clearRect(0, 0, wide, OVER);
    overPen.fillStyle = colours.wash; overPen.fillRect(0, 0, wide, OVER);
    overPen.fillStyle = colours.t0;
    busy.forEach((share, c) => { const tall = Math.min(1, share) * (OVER - 6); overPen.fillRect(c, OVER - tall, 1, tall); });
    const whole = end - begin, left = ((from - begin) / whole) * wide, window = Math.max(3, ((to - from) / whole) * wide);
    overPen.strokeStyle = colours.ink; overPen.lineWidth = 1.5; overPen.strokeRect(left + 0.75, 0.75, Math.min(window, wide - left) - 1.5, OVER - 1.5);
  }

  // Why a slice ended, by the letter of the task state (Linux, include/linux/sched.h).
  const FATES = { R: "was preempted", S: "slept", D: "slept uninterruptibly", I: "idled", T: "was stopped", t: "was traced", X: "exited", Z: "exited" };
  const fate = (state) => (Object.hasOwn(FATES, state[0] || "") ? `${FATES[state[0]]} (${state})` : state);
  function describe(i) {
    const wait = data.wait[i] < 0 ? "had been preempted, so there was no wakeup" : `waited ${time(data.wait[i])} from its wakeup`;
    return [`${label(data.slot[i])} at ${moment(data.start[i], 100)}`, `ran ${time(data.length[i])}, then ${fate(meta.states[data.state[i]])}`, wait, data.contested[i] ? "contested" : "forced", ...(hits ? [`${hits.title}: ${{ true: "hit", false: "miss" }[hits.is(i)] ?? "not in the test part"}`] : [])];
  }
  function choose(i) {
    chosen = Math.min(Math.max(i, 0), data.n - 1);
    keep({ slice: chosen });
    const middle = data.start[chosen] + data.length[chosen] / 2;
    if (middle < from || middle > to || data.length[chosen] < (to - from) / 400) {
      const span = Math.min(to - from, Math.max(data.length[chosen] * 20, 2e5));
      view(middle - span / 2, middle + span / 2);
    }
    draw(); read.value = describe(chosen).join("; ");
  }
  function hit(px, py) { // the slice at a point, or within two pixels of it in that row
    const slot = rows[Math.floor((py - above) / ROW)], reach = (2 * (to - from)) / width();
    if (slot === undefined || px < gutter) return -1;
    for (let i = first(ns(px) - reach); i < data.n && data.start[i] <= ns(px) + reach; i++) if (data.slot[i] === slot) return i;
    return -1;
  }
  function hover(event) {
    const i = hit(event.offsetX, event.offsetY);
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.textContent = describe(i).join("\n");
    const room = (at, size, all) => Math.max(4, Math.min(at, all - size - 4)), under = event.clientY + 16;
    tip.style.left = `${room(event.clientX + 14, tip.offsetWidth, document.documentElement.clientWidth)}px`;
    tip.style.top = `${room(under + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : under, tip.offsetHeight, innerHeight)}px`;
  }
  function nextMiss() {
    let i = Math.max(chosen + 1, chosen < 0 ? first(from) : 0, hits ? hits.start : 0);
    while (i < data.n && hits?.is(i)) i++;
    if (hits && i < data.n) choose(i);
  }

  const actions = { in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.3), right: () => pan(0.3), all: () => { chosen = -1; keep({ slice: null }); view(begin, end); }, miss: nextMiss,
    next: () => choose(chosen < 0 ? first(from) : chosen + 1), previous: () => choose(chosen < 0 ? first(from) : chosen - 1) };
  const keys = { "+": "in", "=": "in", "-": "out", ArrowUp: "in", ArrowDown: "out", ArrowLeft: "left", ArrowRight: "right", 0: "all", Home: "all", n: "next", p: "previous", m: "miss" };
  main.addEventListener("keydown", (event) => {
    const name = !event.ctrlKey && !event.metaKey && !event.altKey && keys[event.key];
    if (name) { event.preventDefault(); actions[name](); }
  });
  figure.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
  main.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && to - from >= end - begin) return; // everything is shown: let the page scroll
    event.preventDefault(); tip.hidden = true;
    event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY) ? pan((event.deltaX || event.deltaY) / width()) : zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), ns(event.offsetX));
  }, { passive: false });
  let grip = null;
  main.addEventListener("pointerdown", (event) => { grip = { px: event.clientX, from, to, moved: false }; main.setPointerCapture(event.pointerId); });
  main.addEventListener("pointermove", (event) => {
    if (!grip) return hover(event);
    const shift = ((event.clientX - grip.px) / width()) * (grip.to - grip.from);
    grip.moved ||= Math.abs(event.clientX - grip.px) > 3; tip.hidden = true;
    view(grip.from - shift, grip.to - shift);
  });
  main.addEventListener("pointerup", (event) => { if (grip && !grip.moved) { const i = hit(event.offsetX, event.offsetY); if (i >= 0) choose(i); } grip = null; });
  main.addEventListener("pointercancel", () => { grip = null; });
  main.addEventListener("pointerleave", () => { tip.hidden = true; });
  const jump = (event) => { const at = begin + (event.offsetX / over.clientWidth) * (end - begin), half = (to - from) / 2; view(at - half, at + half); };
  over.addEventListener("pointerdown", (event) => { over.setPointerCapture(event.pointerId); jump(event); });
  over.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
  pick.addEventListener("change", () => {
    change(Number(pick.value)); tell({ index: Number(pick.value) });
  });
  function change(index) {
    const { trial, cpu } = metas[index];
    keep({ trial: `${trial},${cpu}`, hide: null, slice: null });
    open(index);
  }
  if (group) document.addEventListener(`timeline-${group}`, ({ detail: { by, low, high, hidden: rows, index } }) => {
    if (by === figure) return;
    if (low !== undefined) view(begin + low, begin + high, true);
    if (rows) { hidden = new Set(rows); hide(); }
    if (index !== undefined && metas[index]) change(index);
  });
  predictor.addEventListener("change", () => { wanted = predictor.value; keep({ predictor: wanted || "none" }); predict(wanted); layout(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", layout);
  paper.addEventListener("change", layout);
  new ResizeObserver(() => { if (data) layout(); }).observe(figure);

  figure.querySelectorAll("[hidden]").forEach((part) => { if (part !== tip) part.hidden = false; });
  const known = (name) => { const value = Number(kept(name)); return kept(name) && Number.isFinite(value) ? value : null; };
  const low = known("from"), high = known("to"), slice = known("slice");
  open(Math.max(0, metas.findIndex(({ trial, cpu }) => `${trial},${cpu}` === kept("trial"))));
  if (low !== null && high > low) view(low, high);
  if (slice !== null && slice < data.n) choose(slice);
  const slices = () => {
    const out = [["start_ns", "cpu", "task", "slice_ns", "end_state", "wakeup_latency_ns", "contested", ...(hits ? ["hit"] : [])]];
    for (let i = first(from); i < data.n && data.start[i] < to; i++)
      out.push([String(BigInt(meta.start) + BigInt(Math.round(data.start[i]))), meta.cpu, label(data.slot[i]), data.length[i], meta.states[data.state[i]],
        data.wait[i] < 0 ? "" : data.wait[i], data.contested[i], ...(hits ? [{ true: 1, false: 0 }[hits.is(i)] ?? ""] : [])]);
    return out;
  };
  Download.after(legend, Download.button(figure.id, "slices in view", slices));

  // A self-test, run when the page is opened with #check: does every recording unpack to the sum it was packed with,
  // and do the controls work? The result is written to attributes of the figure.
  if (location.hash === "#check") check();
  function check() {
    const faults = [], expect = (ok, what) => { if (!ok) faults.push(what); };
    metas.forEach((meta, index) => expect(unpack(index).sum === meta.busy, `sum of ${index}`));
    const press = (key) => main.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    const before = to - from;
    press("+"); expect(Math.abs(to - from - before / 2) < before / 1e6 + CLOSEST, "plus halves the window");
    const left = from;
    press("ArrowRight"); expect(from > left, "right goes on");
    const i = Math.floor(data.n / 2);
    choose(i); draw();
    const py = above + rows.indexOf(data.slot[i]) * ROW + ROW / 2;
    expect(hit(x(data.start[i] + data.length[i] / 2), py) >= 0, "a slice is found at its position");
    if (hits) { const at = i; press("m"); expect(chosen >= hits.start && hits.is(chosen) === false, "m goes to a miss"); chosen = at; }
    press("n"); expect(chosen === i + 1 || data.n < 2, "n goes to the next slice");
    const button = legend.querySelector("button"), all = rows.length;
    button.click(); expect(rows.length === all - 1, "a row can be switched off");
    button.click(); expect(rows.length === all, "and on again");
    press("0"); draw(); expect(from === begin && to === end, "0 shows all");
    const fill = pen.fillRect;
    let rects = 0;
    pen.fillRect = (...at) => { rects += 1; fill.apply(pen, at); };
    draw(); delete pen.fillRect;
    figure.dataset.frameRects = String(rects);
    figure.dataset.slices = String(metas.reduce((sum, one) => sum + one.shown, 0));
    figure.dataset.check = faults.length ? `failed: ${faults.join(", ")}` : "ok";
  }
});
