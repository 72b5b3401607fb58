"use strict";
// Everything is on the page and reachable without this script; it only makes looking around quicker.
// What chooses a page by its address, besides the address of an element: functions of it that return a page or null.
const routes = [];

// One page at a time. The title and the focus follow the address, so that history and screen readers name the case.
const arrive = (function () {
  const first = document.title, overview = document.getElementById("overview");
  const left = new Map();
  let visit = 0, newest = 0;
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => left.set(visit, scrollY), { passive: true });
  return function () {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* a hand-made address: take it as it is */ }
    const target = document.getElementById(id);
    let page = target && target.closest(".page");
    for (const route of routes) page = route(id, location.hash.slice(1), page) || page;
    page = page || overview;
    for (const one of document.querySelectorAll(".page.shown")) if (one !== page) one.classList.remove("shown");
    page.classList.add("shown");
    const heading = page !== overview && page.querySelector("h1");
    document.title = heading ? heading.textContent + " · gradparity" : first;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    const before = history.state && history.state.visit;
    visit = before || ++newest;
    newest = Math.max(newest, visit);
    if (!before) history.replaceState({ visit }, "");
    if (before && left.has(before)) scrollTo(0, left.get(before));
    else if (target && target !== page) target.scrollIntoView();
    else if (!before || newest > 1) scrollTo(0, 0);
    if (heading && (!target || target === page)) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
  };
})();

(function () {
  const all = (where, what) => Array.from(where.querySelectorAll(what));

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

  // Copying the link to a case, or a command; from a file the clipboard may be refused, and then it is shown instead.
  for (const button of all(document, "[data-copy]")) button.closest("div").hidden = false;
  for (const button of all(document, "button[data-text]")) button.hidden = false;
  addEventListener("click", async function (event) {
    const button = event.target instanceof Element && event.target.closest("[data-copy], button[data-text]");
    if (!button || button.dataset.said) return;
    const label = button.textContent;
    const text = button.dataset.text || location.href.split("#")[0] + "#" + button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      button.dataset.said = button.textContent = "copied";
      setTimeout(() => { button.textContent = label; delete button.dataset.said; }, 1500);
    } catch {
      button.textContent = text;
    }
  });
})();
