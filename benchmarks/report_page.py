"""The page on the report's own cost: the figures as a Markdown table, beside what is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.report import Figures

HEAD = """# The report at scale

A report is one HTML file: the first screen, a page for each of the cases that tell most, and a list of all of them. The
list is one JSON text of columns, a letter a row, compressed; the browser unpacks it, and of its rows only those in
sight are elements of the page. What is higher than a browser can draw is scrolled to scale.

Which cases have a page: all, up to 150. Of more, the smallest case of every distinct bug, worked examples and case
files, the worst of each verdict, the faulty ones up to 50, and 12 of those that agree, drawn by chance, the same ones
every time; as many of these as fit into 5 MB, or into 1 MB beside a list of more than 9 MB. Every other case is in the
list, with the command that opens it: `gradparity show RESULTS.sqlite CASE`.

A store is read once, without its numbers, and the cases that have a page once more, by their rows. What stays in
memory is about 3 kB a case.

"""
LIMITS = (100_000, 1_000_000)
WANTED: tuple[tuple[str, str, str, Callable[[Figures], str]], ...] = (
    ("store", "", "", lambda f: _bytes(f.store)),
    ("read", "", "", lambda f: _time(f.read)),
    ("read and built", "20 s", "", lambda f: _time(f.built)),
    ("memory", "", "4 GB", lambda f: _bytes(f.memory)),
    ("size of the file", "10 MB", "30 MB", lambda f: _bytes(f.size)),
    ("cases with a page", "", "", lambda f: f"{f.pages:,}"),
    ("elements of the page", "", "", lambda f: f"{f.elements:,}"),
    ("ready", "1.5 s", "4 s", lambda f: _time(f.ready)),
    ("JavaScript heap", "", "", lambda f: _bytes(f.heap)),
    ("filter by verdict", "0.3 s", "", lambda f: _time(f.filtered)),
    ("search, the first time", "0.3 s", "", lambda f: _time(f.searched_first)),
    ("search", "0.3 s", "", lambda f: _time(f.searched)),
    ("sort by verdict, error", "0.3 s", "", lambda f: _time(f.sorted)),
    ("sort by title, the first time", "0.3 s", "", lambda f: _time(f.sorted_by_title)),
    ("open a case", "0.1 s", "", lambda f: _time(f.opened)),
    ("open one without a page", "0.1 s", "", lambda f: _time(f.opened_elsewhere)),
    ("last row reached", "yes", "yes", lambda f: _yes(f.last_row)),
    ("ready in Firefox", "", "", lambda f: "–" if f.firefox_ready is None else _time(f.firefox_ready)),
    ("last row reached in Firefox", "yes", "yes", lambda f: _yes(f.firefox_last_row)),
)


def page(figures: Sequence[Figures], seed: int) -> str:
    """All figures, with what is wanted of the large sizes."""
    sizes = " ".join(str(one.cases) for one in figures)
    loads = ", ".join(f"{one.load:.1f}" for one in figures)
    limits = " | ".join(f"wanted for {one:,}" for one in LIMITS)
    lines = [
        f"Measured by `python -m benchmarks.report --cases {sizes} --seed {seed} -o docs/report.md`, in headless",
        "Chromium without a GPU, each time the median of three visits, until the frame after the change was drawn; in",
        f"Firefox one visit, to the list. On {os.cpu_count()} processors whose load over five minutes was {loads}",
        "(by size; this takes 1 to 2 of it, the rest was other work: times on an idle machine are shorter).",
        "",
        "| cases | " + " | ".join(f"{one.cases:,}" for one in figures) + f" | {limits} |",
        "|---" + "|---:" * (len(figures) + len(LIMITS)) + "|",
    ]
    lines += [
        f"| {name} | " + " | ".join(text(one) for one in figures) + f" | {some} | {many} |"
        for name, some, many, text in WANTED
    ]
    return HEAD + "\n".join(lines) + "\n"


def _yes(reached: bool | None) -> str:
    return "–" if reached is None else "yes" if reached else "NO"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _bytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"
