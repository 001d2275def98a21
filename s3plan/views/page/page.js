"use strict";
// Worklists: decoded when their step is opened, then filtered and sorted as numbers; only the rows
// that can be seen are in the document. Text is set as text, never as markup.
const ROW = 28;
const BEYOND = 12;
const PRINTED = 300;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function size(bytes) {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1023.95 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${amount.toFixed(1)} ${UNITS[unit]}`;
}

// What cannot be seen, or would reorder or act, is written as an escape, as the command line does.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function visible(text) {
  return text.replace(HIDDEN, (found) => {
    if (NAMED[found]) return NAMED[found];
    const code = found.codePointAt(0);
    if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

async function decoded(element) {
  const raw = Uint8Array.from(atob(element.textContent.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

class Worklist {
  constructor(root, data) {
    this.data = data;
    this.lower = null;
    this.order = Uint32Array.from(data.sizes.keys());
    this.sorted = { by: "key", down: false };
    this.view = root.querySelector(".view");
    this.room = root.querySelector(".room");
    this.count = root.querySelector(".count");
    this.search = root.querySelector("input[type=search]");
    this.chosen = root.querySelector("select");
    this.rows = [];
    for (const name of data.classes) this.chosen.append(new Option(name, name));
    let waiting = 0;
    const again = () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => this.filter());
    };
    this.search.addEventListener("input", again);
    this.chosen.addEventListener("change", again);
    this.view.addEventListener("scroll", () => this.draw());
    for (const button of root.querySelectorAll(".head button")) {
      button.addEventListener("click", () => this.sort(button.dataset.by, root));
    }
    this.filter();
  }

  filter() {
    const { keys, classes } = this.data;
    const text = this.search.value.toLowerCase();
    const only = classes.indexOf(this.chosen.value);
    if (text && this.lower === null) this.lower = keys.map((key) => key.toLowerCase());
    const found = [];
    let bytes = 0;
    for (let n = 0; n < keys.length; n += 1) {
      if (only >= 0 && this.data.class[n] !== only) continue;
      if (text && !this.lower[n].includes(text)) continue;
      found.push(n);
      bytes += this.data.sizes[n];
    }
    this.order = Uint32Array.from(found);
    const all = keys.length.toLocaleString("en");
    this.count.textContent =
      `${found.length.toLocaleString("en")} of ${all} items, ${size(bytes)}`;
    this.apply();
  }

  sort(by, root) {
    this.sorted = { by, down: this.sorted.by === by ? !this.sorted.down : by === "size" };
    for (const button of root.querySelectorAll(".head button")) {
      const here = button.dataset.by === by;
      button.setAttribute("aria-sort", here ? (this.sorted.down ? "descending" : "ascending") : "none");
      button.querySelector("span").textContent = here ? (this.sorted.down ? " \u25be" : " \u25b4") : "";
    }
    this.apply();
  }

  apply() {
    const { by, down } = this.sorted;
    const { sizes, modified } = this.data;
    const classes = this.data.class;
    // Keys come in their order: a number says it all.
    const compare = {
      key: (a, b) => a - b,
      size: (a, b) => sizes[a] - sizes[b] || a - b,
      class: (a, b) => classes[a] - classes[b] || a - b,
      modified: (a, b) => (modified[a] < modified[b] ? -1 : modified[a] > modified[b] ? 1 : a - b),
    }[by];
    this.order.sort(down ? (a, b) => compare(b, a) : compare);
    this.room.style.height = `${this.order.length * ROW}px`;
    this.view.scrollTop = 0;
    this.draw();
  }

  draw(count) {
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - BEYOND);
    const shown = count ?? Math.ceil(this.view.clientHeight / ROW) + 2 * BEYOND;
    const last = Math.min(this.order.length, first + shown);
    for (const row of this.rows) row.remove();
    this.rows = [];
    const made = document.createDocumentFragment();
    for (let place = first; place < last; place += 1) {
      const n = this.order[place];
      const row = document.createElement("div");
      row.className = "row";
      row.style.transform = `translateY(${place * ROW}px)`;
      const key = document.createElement("code");
      key.textContent = visible(this.data.keys[n]);
      const path = this.data.paths[n];
      key.title = key.textContent + (path === undefined ? "" : `\n${visible(path)}`);
      const note = this.data.notes[n];
      if (note !== undefined) key.textContent += `  (${visible(note)})`;
      if (path !== undefined) key.textContent += `  \u2192 ${visible(path)}`;
      row.append(key);
      for (const [text, name] of [
        [size(this.data.sizes[n]), "n"],
        [visible(this.data.classes[this.data.class[n]]), ""],
        [visible(this.data.modified[n].replace("T", " ").slice(0, 19)), "soft"],
      ]) {
        const cell = document.createElement("span");
        cell.className = name;
        cell.textContent = text;
        row.append(cell);
      }
      made.append(row);
      this.rows.push(row);
    }
    this.room.before(made);
  }
}

const lists = new Map();

async function open(details) {
  const root = details.querySelector(".list");
  if (!root || lists.has(root)) return;
  lists.set(root, null);
  const data = await decoded(document.getElementById(root.dataset.items));
  lists.set(root, new Worklist(root, data));
  root.dataset.ready = "yes";
}

for (const details of document.querySelectorAll("details.step")) {
  details.addEventListener("toggle", () => details.open && open(details));
  if (details.open) open(details);
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details.step")) details.open = true;
  for (const list of lists.values()) if (list) list.draw(PRINTED);
});
addEventListener("afterprint", () => {
  for (const list of lists.values()) if (list) list.draw();
});
