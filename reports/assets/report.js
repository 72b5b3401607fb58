"use strict";
// Everything is on the page and reachable without this script; it only makes looking around quicker.
(function () {
  const all = (where, what) => Array.from(where.querySelectorAll(what));

  // The title and the focus follow the address, so that history and screen readers name the case.
  const first = document.title;
  function arrived() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* a hand-made address: take it as it is */ }
    const target = document.getElementById(id);
    const page = target && target.closest(".page");
    const heading = page && page.id !== "overview" && page.querySelector("h1");
    document.title = heading ? heading.textContent + " · gradparity" : first;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target === page && heading) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
  }
  addEventListener("hashchange", arrived);
  arrived();

  // The filter of the case table.
  const filter = document.querySelector(".filter");
  if (filter) {
    const text = filter.querySelector("[data-filter=text]");
    const verdict = filter.querySelector("[data-filter=verdict]");
    const said = filter.querySelector("output");
    const bodies = all(document, ".cases tbody").map((body) => ({
      body,
      head: (body.querySelector(".group") || { textContent: "" }).textContent.toLowerCase(),
      rows: all(body, "tr[data-verdict]").map((row) => ({ row, text: row.textContent.toLowerCase() })),
    }));
    let wasAsked = false;
    const apply = function () {
      const wanted = text.value.trim().toLowerCase();
      let shown = 0, total = 0;
      for (const { body, head, rows } of bodies) {
        let here = 0;
        for (const one of rows) {
          const fits = (!verdict.value || one.row.dataset.verdict === verdict.value) &&
            (!wanted || one.text.includes(wanted) || head.includes(wanted));
          one.row.hidden = !fits;
          here += fits ? 1 : 0;
        }
        total += rows.length;
        shown += here;
        body.hidden = here === 0 && (wanted !== "" || verdict.value !== "");
      }
      const asked = wanted !== "" || verdict.value !== "";
      for (const one of all(document, ".folded")) {
        const fits = one.querySelector("tr[data-verdict]:not([hidden])") !== null;
        one.hidden = !fits;
        if (asked !== wasAsked) one.open = asked && fits;
      }
      wasAsked = asked;
      said.textContent = shown === total ? "" : shown + " of " + total;
    };
    text.addEventListener("input", apply);
    verdict.addEventListener("change", apply);
    filter.hidden = false;
    apply();
  }

  // A node of the graph chooses the quantities that belong to it.
  for (const page of all(document, ".case")) {
    const nodes = all(page, ".node");
    const bar = page.querySelector(".filtered");
    if (!nodes.length || !bar) continue;
    const quantities = all(page, ".q");
    const choose = function (node) {
      const chosen = node && node.getAttribute("aria-pressed") !== "true" ? node.dataset.node : null;
      for (const one of nodes) one.setAttribute("aria-pressed", String(one.dataset.node === chosen));
      for (const one of quantities) one.hidden = chosen !== null && one.dataset.node !== chosen;
      bar.hidden = chosen === null;
      if (chosen !== null) {
        bar.firstElementChild.textContent = "Only the numbers of " + node.querySelector(".name").textContent + ".";
        for (const step of all(page, ".step")) step.open = true;
        bar.scrollIntoView({ block: "center" });
      }
    };
    for (const node of nodes) {
      node.setAttribute("role", "button");
      node.setAttribute("tabindex", "0");
      node.setAttribute("aria-pressed", "false");
      node.addEventListener("click", () => choose(node));
      node.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(node); }
      });
    }
    const drawing = page.querySelector("svg.graph");
    drawing.setAttribute("role", "group");
    bar.querySelector("button").addEventListener("click", () => choose(null));
    page.querySelector(".clicknote").hidden = false;
  }

  // Copying the link to a case; from a file the clipboard may be refused, and then the link is shown instead.
  for (const button of all(document, "[data-copy]")) {
    const label = button.textContent;
    button.closest("div").hidden = false;
    button.addEventListener("click", async function () {
      const link = location.href.split("#")[0] + "#" + button.dataset.copy;
      try {
        await navigator.clipboard.writeText(link);
        button.textContent = "copied";
        setTimeout(() => { button.textContent = label; }, 1500);
      } catch {
        button.textContent = link;
      }
    });
  }
})();
