"use strict";
// The list of all cases: one letter a row and column, of which only the rows in sight are ever elements of the page.
const listed = (async function () {
  const source = document.getElementById("table");
  const page = document.getElementById("cases");
  if (!source || !page || typeof DecompressionStream === "undefined") return;
  page.querySelector(".plainlist").hidden = true;
  const { packed, pages } = JSON.parse(source.textContent);
  source.remove();
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(packed)
    : Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = await new Response(unpacked).json();
  const total = data.rows;
  const ROW = 34, TALLEST = 6000000;

  // The letters of the columns, as `columns.py` has them.
  const place = new Uint16Array(0xd800);
  const letters = [];
  for (let code = 35; code < 0xd800; code++) {
    const plain = code < 127 && !"&<>\\".includes(String.fromCharCode(code));
    if (plain || (code >= 192 && code !== 0x2028 && code !== 0x2029)) { place[code] = letters.length;
      letters.push(code); }
  }
  const ranks = function (text) {
    const made = new Uint16Array(total);
    for (let row = 0; row < total; row++) made[row] = place[text.charCodeAt(row)];
    return made;
  };
  const column = (one) => ({ values: one.values, ranks: ranks(one.at) });
  const lazily = function (make) { let made = null; return () => (made === null ? (made = make()) : made); };

  const verdict = ranks(data.verdict), dtype = column(data.dtype), examples = column(data.examples);
  const ulps = column(data.ulps), ratio = column(data.ratio);
  const who = data.who.map((one) => ({ verdict: ranks(one.verdict), size: column(one.size) }));
  const cards = lazily(() => (total ? data.cards.at.split(" ") : []));
  const coded = lazily(() => (Array.isArray(data.titles) || !total ? [] : data.titles.at.split(" ")));
  const numbers = lazily(function () {
    const made = new Uint32Array(total);
    data.numbers.forEach(function ([from, first], at) {
      const end = at + 1 < data.numbers.length ? data.numbers[at + 1][0] : total;
      if (first) for (let row = from; row < end; row++) made[row] = first + row - from;
    });
    return made;
  });
  const title = function (row) {
    if (Array.isArray(data.titles)) return data.titles[row];
    const words = [];
    for (const letter of coded()[row]) {
      words.push(letter === "!" ? "#" + numbers()[row] : data.titles.values[place[letter.charCodeAt(0)]]);
    }
    return words.join(" ");
  };
  const id = (row) => (typeof data.ids === "string" ? data.ids.slice(16 * row, 16 * row + 16) : data.ids[row]);
  const anchor = (row) => pages[row] || "case=" + id(row);
  // The rows that a word is found in: in the words of their titles, their operations, examples, numbers or ids.
  const having = function (words, texts, lines, mask) {
    const fits = new Uint8Array(0xd800);
    let any = false;
    texts.forEach(function (text, at) { if (text.toLowerCase().includes(words)) any = fits[letters[at]] = 1; });
    for (let row = 0; any && row < total; row++) {
      const line = lines[row];
      for (let at = 0; at < line.length && !mask[row]; at++) mask[row] = fits[line.charCodeAt(at)];
    }
  };
  const search = function (term) {
    const mask = new Uint8Array(total);
    if (Array.isArray(data.titles)) data.titles.forEach((text,
      row) => { if (text.toLowerCase().includes(term)) mask[row] = 1; });
    else having(term, data.titles.values, coded(), mask);
    having(term, data.cards.values, cards(), mask);
    having(term, examples.values, data.examples.at, mask);
    if (/^#?[0-9]+$/.test(term)) for (let row = 0; row < total;
      row++) if (("#" + numbers()[row]).includes(term)) mask[row] = 1;
    if (Array.isArray(data.ids)) data.ids.forEach((text,
      row) => { if (text.toLowerCase().includes(term)) mask[row] = 1; });
    else for (let at = data.ids.indexOf(term); at >= 0; at = data.ids.indexOf(term, at + 1)) {
      if (at % 16 + term.length <= 16) mask[Math.floor(at / 16)] = 1;
    }
    return mask;
  };
  const alphabetic = lazily(function () {
    const texts = new Array(total);
    const text = (row) => (texts[row] === undefined ? (texts[row] = title(row)) : texts[row]);
    const of = numbers();
    const order = Uint32Array.from({ length: total }, (_, row) => row);
    order.sort((a, b) => of[a] - of[b] || (of[a] ? a - b : text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : a - b));
    const made = new Uint32Array(total);
    order.forEach((row, at) => { made[row] = at; });
    return made;
  });

  const element = function (name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const badge = function (rank, size, small) {
    const sign = data.badges[rank];
    const made = element("span", { class: "badge t-" + sign.tone + (small ? " small" : "") },
      element("i", { "aria-hidden": "true" }, sign.symbol), small ? sign.short : sign.word);
    if (size) made.append(" ", element("u", {}, size));
    return made;
  };

  // What can be asked for. Everything is kept in the address.
  const asked = { text: "", verdict: "", who: "", dtype: "", card: "", bug: "", sort: "verdict", down: true };
  const AGREE = new Set(["exact", "rounding", "not recorded"]);
  const agreeing = Uint8Array.from(data.badges, (one) => (AGREE.has(one.word) ? 1 : 0));
  const keys = { title: () => alphabetic(), verdict: () => verdict, ulps: () => ulps.ranks, ratio: () => ratio.ranks };
  data.implementations.forEach(function (name, at) {
    // First by the verdict, then by the error.
    keys["in " + name] = function () {
      const sizes = who[at].size.values.length + 1;
      return Float64Array.from({ length: total }, (_, row) => (data.badges[who[at].verdict[row]].word === "not recorded"
        ? 0 : 1 + who[at].verdict[row]) * sizes + who[at].size.ranks[row]);
    };
  });

  let rows = new Uint32Array(0);
  const chosen = function () {
    const kept = new Uint32Array(total);
    const masks = asked.text.toLowerCase().split(/\s+/).filter((term) => term).map(search);
    const at = data.implementations.indexOf(asked.who);
    const verdicts = at >= 0 ? who[at].verdict : verdict;
    const word = data.badges.findIndex((one) => one.word === asked.verdict);
    const differing = asked.verdict === "not agreeing";
    const type = dtype.values.indexOf(asked.dtype);
    const card = data.cards.values.indexOf(asked.card);
    const letter = card >= 0 ? String.fromCharCode(letters[card]) : "";
    const named = data.cards.told ? letters.filter((_, one) => one < data.titles.values.length
      && data.titles.values[one].replace(/[;,]+$/, "") === asked.card) : [];
    const uses = (row) => cards()[row].includes(letter) || (cards()[row][0] !== "!"
      && named.some((one) => coded()[row].includes(String.fromCharCode(one))));
    const bug = asked.bug && Object.hasOwn(data.bugs, asked.bug) ? new Set(data.bugs[asked.bug].rows) : null;
    let count = 0;
    for (let row = 0; row < total; row++) {
      if (word >= 0 && verdicts[row] !== word) continue;
      if (differing && agreeing[verdicts[row]]) continue;
      if (type >= 0 && dtype.ranks[row] !== type) continue;
      if (bug && !bug.has(row)) continue;
      if (letter && !uses(row)) continue;
      if (masks.some((mask) => !mask[row])) continue;
      kept[count++] = row;
    }
    return kept.subarray(0, count);
  };
  const sorted = function (kept) {
    const make = keys[asked.sort];
    if (!make) return kept;
    const key = make();
    const sign = asked.down ? -1 : 1;
    if (key instanceof Uint16Array) {  // ranks: counting sorts them, and leaves equals in their order
      const starts = new Uint32Array(0x10001);
      const bucket = (row) => (asked.down ? 0xffff - key[row] : key[row]);
      for (const row of kept) starts[bucket(row) + 1]++;
      for (let at = 1; at < starts.length; at++) starts[at] += starts[at - 1];
      const made = new Uint32Array(kept.length);
      for (const row of kept) made[starts[bucket(row)]++] = row;
      return made;
    }
    return Uint32Array.from(kept).sort((a, b) => sign * (key[a] - key[b]) || a - b);
  };

  // The rows in sight. The height of all rows is drawn to scale where a browser could not draw it otherwise.
  const sheet = page.querySelector(".sheet"), filler = page.querySelector(".filler");
  const view = page.querySelector(".window"), grid = page.querySelector(".virtual");
  const head = grid.tHead, body = grid.tBodies[0];
  const found = page.querySelector(".found"), filter = page.querySelector(".filter");
  let first = 0, current = 0, whole = 1;
  const measure = function () {
    whole = Math.max(1, Math.floor((sheet.clientHeight - head.offsetHeight - 2) / ROW));
    const beyond = Math.max(0, rows.length - whole);
    filler.style.height = sheet.clientHeight + Math.min(beyond * ROW, TALLEST) + "px";
    view.style.height = sheet.clientHeight + "px";
  };
  const travel = () => filler.offsetHeight - sheet.clientHeight;
  const line = function (position) {
    const row = rows[position];
    const made = element("tr", { "aria-rowindex": String(position + 2), id: "line." + position });
    if (position === current) made.setAttribute("aria-selected", "true");
    if (!pages[row]) made.className = "elsewhere";
    const name = title(row);
    const link = element("a", { href: "#" + anchor(row), tabindex: "-1", title: name }, name);
    made.append(element("th", { scope: "row" }, link), element("td", {}, badge(verdict[row])));
    for (const one of who) {
      made.append(element("td", {}, badge(one.verdict[row], one.size.values[one.size.ranks[row]], true)));
    }
    made.append(element("td", { class: "n" }, ulps.values[ulps.ranks[row]]));
    made.append(element("td", { class: "n" }, ratio.values[ratio.ranks[row]]));
    return made;
  };
  const draw = function () {
    const last = Math.min(rows.length, first + whole);
    const made = [];
    for (let at = first; at < last; at++) made.push(line(at));
    if (!rows.length) made.push(element("tr", {}, element("td", { colspan: String(4 + who.length),
      class: "empty" }, "No case fits.")));
    body.replaceChildren(...made);
    if (rows.length && current >= first && current < last) grid.setAttribute("aria-activedescendant",
      "line." + current);
    else grid.removeAttribute("aria-activedescendant");
  };
  let moved = false;
  const scrolled = function () {
    if (moved) { moved = false; return; }
    const beyond = Math.max(0, rows.length - whole);
    const at = travel() > 0 ? Math.round(sheet.scrollTop / travel() * beyond) : 0;
    if (at !== first) { first = at; draw(); }
  };
  sheet.addEventListener("scroll", scrolled);
  const show = function (position) {
    current = Math.max(0, Math.min(rows.length - 1, position));
    const beyond = Math.max(0, rows.length - whole);
    const before = first;
    if (current < first) first = current;
    if (current >= first + whole) first = Math.min(beyond, current - whole + 1);
    if (first !== before) {
      const top = beyond ? first / beyond * travel() : 0;
      if (Math.abs(sheet.scrollTop - top) >= 1) { moved = true; sheet.scrollTop = top; }
    }
    draw();
  };

  const address = function () {
    const parts = new URLSearchParams();
    for (const name of ["text", "verdict", "who", "dtype", "card", "bug"]) if (asked[name]) parts.set(name,
      asked[name]);
    if (asked.sort !== "verdict" || !asked.down) parts.set("sort", (asked.down ? "-" : "") + asked.sort);
    const text = parts.toString();
    return "#cases" + (text ? "?" + text : "");
  };
  const apply = function () {
    rows = sorted(chosen());
    first = 0; current = 0;
    const all = rows.length === total;
    found.textContent = all ? total.toLocaleString("en-US") + (total === 1 ? " case" : " cases")
      : rows.length.toLocaleString("en-US") + " of " + total.toLocaleString("en-US") + " cases";
    grid.setAttribute("aria-rowcount", String(rows.length + 1));
    for (const cell of head.querySelectorAll("[data-sort]")) {
      const own = cell.dataset.sort === asked.sort;
      if (own) cell.setAttribute("aria-sort", asked.down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
    }
    chip.hidden = !asked.bug;
    if (asked.bug) chip.firstChild.textContent = Object.hasOwn(data.bugs, asked.bug) ? data.bugs[asked.bug].name
      : asked.bug;
    grid.style.minWidth = 520 + 150 * who.length + "px";
    measure();
    moved = sheet.scrollTop !== 0;
    sheet.scrollTop = 0;
    draw();
  };
  const changed = function () {
    apply();
    history.replaceState(history.state, "", address());
    routed = address();
  };

  // The filter and the head of the table.
  const field = {};
  const select = function (name, label, values, whenAll) {
    field[name] = element("select", {}, element("option", { value: "" }, whenAll),
      ...values.map((value) => element("option", { value }, value)));
    field[name].addEventListener("change", function () {
      asked[name] = field[name].value;
      if (name === "who" && asked.who && !asked.verdict) asked.verdict = field.verdict.value = "not agreeing";
      changed();
    });
    filter.append(element("label", {}, label, field[name]));
  };
  field.text = element("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  field.text.addEventListener("input", function () { asked.text = field.text.value; changed(); });
  filter.append(element("label", {}, "Find", field.text));
  const seen = new Set(verdict);
  for (const one of who) for (const rank of one.verdict) seen.add(rank);
  select("verdict", "Verdict", ["not agreeing", ...data.badges.filter((_,
    at) => seen.has(at)).map((one) => one.word)], "all");
  select("who", "in", data.implementations, "the case as a whole");
  select("dtype", "Dtype", dtype.values, "all");
  select("card", "Operation", data.cards.values, "all");
  const chip = element("button", { type: "button", class: "chip", "aria-label": "Show all bugs" }, "", " ×");
  chip.addEventListener("click", function () { asked.bug = ""; changed(); });
  filter.append(chip);
  const sorter = function (name, label, kind, note) {
    const button = element("button", { type: "button" }, label);
    if (note) button.append(" ", element("small", {}, note));
    button.addEventListener("click", function () {
      const down = name !== "title";
      if (asked.sort !== name) { asked.sort = name; asked.down = down; }
      else if (asked.down === down) asked.down = !down;
      else { asked.sort = ""; asked.down = true; }
      changed();
      button.focus();
    });
    return element("th", { scope: "col", "data-sort": name, class: kind }, button);
  };
  head.append(element("tr", { "aria-rowindex": "1" }, sorter("title", "Case", "col-case"), sorter("verdict",
    "Verdict", "col-verdict"),
    ...data.implementations.map((name) => sorter("in " + name, name, "col-in")),
    sorter("ulps", "worst", "n", "ulp"), sorter("ratio", "error / bound", "n")));

  // The keyboard.
  grid.addEventListener("keydown", function (event) {
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowDown: current + 1, j: current + 1, ArrowUp: current - 1, k: current - 1,
      PageDown: current + whole,
      PageUp: current - whole, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined && rows.length) { event.preventDefault(); show(to); }
    if (event.key === "Enter" && rows.length) { event.preventDefault(); location.hash = anchor(rows[current]); }
  });
  body.addEventListener("click", function (event) {
    const line = event.target.closest("tr[id]");
    if (line && !event.target.closest("a")) { show(Number(line.id.slice(5))); grid.focus({ preventScroll: true }); }
  });
  addEventListener("keydown", function (event) {
    if (page.offsetParent === null) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); field.text.focus(); }
    if (event.key === "Escape" && event.target === field.text) {
      event.preventDefault();
      field.text.value = asked.text = "";
      changed();
      grid.focus();
    }
  });

  // The address: `#cases?...` is a filter; `#case=...` of a case without a page says how to see it.
  const stub = document.getElementById("row");
  const told = stub.querySelector(".told");
  const command = (label, text) => element("div", {}, element("dt", {}, label),
    element("dd", {}, element("code", {}, text), " ", element("button", { type: "button", "data-text": text },
      "copy")));
  const describe = function (name) {
    let row = -1;
    for (let at = 0; at < total && row < 0; at++) if (id(at) === name) row = at;
    if (row < 0) {
      stub.querySelector("h1").textContent = "No such case";
      told.replaceChildren(element("p", {}, "This run has no case with the id " + name + "."));
      return stub;
    }
    if (pages[row]) return document.getElementById(pages[row]).closest(".page");
    stub.querySelector("h1").textContent = title(row);
    const list = element("ul", { class: "who-list" });
    data.implementations.forEach(function (one, at) {
      list.append(element("li", {}, element("b", {}, one), " ", badge(who[at].verdict[row],
        who[at].size.values[who[at].size.ranks[row]])));
    });
    told.replaceChildren(element("p", {}, badge(verdict[row])), list);
    const say = "This case has no page here: a report keeps the numbers of those that tell most. ";
    told.append(element("p", { class: "legend" }, say + (data.store ? "The store has them:"
      : "The store of the run has them.")));
    if (data.store) {
      const where = data.store + " " + (/^[0-9A-Za-z_-]+$/.test(name) ? name : "'" + name.replaceAll("'",
        "'\"'\"'") + "'");
      told.append(element("dl", { class: "again" }, command("told in the terminal", "gradparity show " + where),
        command("as a page", "gradparity show " + where + " --html case.html"),
        command("run it again", "gradparity replay " + where)));
    }
    return stub;
  };
  let routed = null;
  routes.push(function (name, text, target) {
    if (text === "cases" || text.startsWith("cases?")) {
      page.classList.add("shown");
      if (routed === "#" + text) { measure(); draw(); return page; }
      routed = "#" + text;
      const parts = new URLSearchParams(text.slice(6));
      for (const one of ["text", "verdict", "who", "dtype", "card", "bug"]) asked[one] = parts.get(one) || "";
      const sort = parts.get("sort");
      asked.sort = sort === null ? "verdict" : sort.replace(/^-/, "");
      asked.down = sort === null || sort.startsWith("-");
      for (const [one, input] of Object.entries(field)) input.value = asked[one];
      apply();
      return page;
    }
    return name.startsWith("case=") && !target ? describe(name.slice(5)) : null;
  });
  for (const one of [sheet, filter, found, page.querySelector(".keys")]) one.hidden = false;
  for (const link of document.querySelectorAll("[data-bug]")) {
    link.setAttribute("href", "#cases?bug=" + link.dataset.bug);
    link.closest(".scripted").hidden = false;
  }
  addEventListener("resize", function () { if (page.offsetParent !== null) { measure(); draw(); } });
})();

// What the address names may be in the list alone, which is there a moment later.
document.documentElement.classList.add("scripted");
addEventListener("hashchange", arrive);
arrive();
listed.catch(function (error) {
  document.querySelector(".plainlist").hidden = false;
  console.error("the list of cases cannot be read: " + error);
}).then(function () {
  if (/^#(cases|case=)/.test(location.hash)) arrive();
  document.documentElement.classList.add("listed");
});
