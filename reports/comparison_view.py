"""The comparison of two runs as one HTML file, with the same safety and looks as a report."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from reports.comparison import KINDS, MEANING, Change, Comparison, Kind
from reports.html import asset, content_policy, environment
from reports.verdict_view import Badge, Prose, badge, prose
from reports.view_model import time_text
from reports.wording import SIGNS, counted, listing, ratio_text

SHOWN = 500
"""Of each kind, so many changes stand on the page; all of them are in the JSON."""
TONES: dict[Kind, tuple[str, str]] = {
    "broken": ("✗", "bad"),
    "fixed": ("✓", "good"),
    "changed verdict": ("↔", "warn"),
    "error grew": ("▴", "note"),
    "error shrank": ("▾", "note"),
    "other numbers": ("≈", "mute"),
    "same": ("=", "mute"),
}
"""A symbol and a tone each, so that colour is never the only sign."""


@dataclass(frozen=True)
class Row:
    """What became of one implementation in one case."""

    case: str
    title: str
    implementation: str
    old: Badge
    new: Badge
    place: str
    sentence: Prose


@dataclass(frozen=True)
class Section:
    """The changes of one kind. `more` counts those that are left out."""

    anchor: str
    badge: Badge
    meaning: str
    number: str
    rows: tuple[Row, ...]
    more: str


@dataclass(frozen=True)
class Page:
    """Two runs side by side."""

    headline: str
    wrong: bool
    old: str
    new: str
    compared: str
    incomparable: tuple[str, ...]
    sections: tuple[Section, ...]
    environment: tuple[tuple[str, ...], ...]
    only: tuple[tuple[str, tuple[str, ...], str], ...]


def as_html(found: Comparison) -> str:
    """The comparison as a page; no script is on it."""
    style = asset("report.css")
    template = environment().get_template("comparison.html")
    return template.render(
        page=build(found),
        policy=content_policy(style, ""),
        style=Markup(style),  # noqa: S704 - ours, and it cannot end its element
    )


def build(found: Comparison) -> Page:
    """Decide everything that the page says."""
    total = sum(found.counts.values())
    sections = tuple(_section(kind, found) for kind in KINDS)
    return Page(
        headline=_headline(found, total),
        wrong=found.broken > 0,
        old=time_text(found.old_started) or "not recorded",
        new=time_text(found.new_started) or "not recorded",
        compared=f"{counted(total, 'verdict')} held against each other",
        incomparable=tuple(found.incomparable),
        sections=sections,
        environment=tuple((key, *(one or "not there" for one in both)) for key, both in found.environment.items()),
        only=tuple(
            (counted(len(ids), f"case only in the {which} run", f"cases only in the {which} run"), tuple(ids[:SHOWN]),
             f"and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
            for which, ids in (("old", found.only_old), ("new", found.only_new))
            if ids
        ),
    )  # fmt: skip


def _headline(found: Comparison, total: int) -> str:
    if not total:
        return "The two runs have nothing in common that could be compared."
    words: tuple[tuple[Kind, str], ...] = (
        ("broken", "broken"), ("fixed", "fixed"), ("changed verdict", "changed otherwise")
    )  # fmt: skip
    told = [(found.counts.get(kind, 0), word) for kind, word in words]
    parts = [f"{number:,} {'is' if number == 1 else 'are'} {word}" for number, word in told if number]
    if parts:
        return f"Of {counted(total, 'verdict')}, {listing(parts)}."
    rest = total - found.counts.get("same", 0)
    return f"No verdict has changed; the numbers differ in {rest:,} of {total:,}."


def _section(kind: Kind, found: Comparison) -> Section:
    own = [change for change in found.changes if change.kind == kind]
    number = found.counts.get(kind, 0)
    symbol, tone = TONES[kind]
    left = number - min(len(own), SHOWN) if own else 0
    return Section(
        anchor=kind.replace(" ", "-"),
        badge=Badge(kind, symbol, tone),
        meaning=MEANING[kind],
        number=f"{number:,}",
        rows=tuple(_row(change) for change in own[:SHOWN]),
        more=f"and {left:,} more, which `gradparity compare --json` has" if left else "",
    )


def _row(change: Change) -> Row:
    return Row(
        case=change.case,
        title=change.title or change.case,
        implementation=change.implementation,
        old=_verdict(change.old_verdict, ratio_text(change.old_ratio)),
        new=_verdict(change.new_verdict, ratio_text(change.new_ratio)),
        place=change.place,
        sentence=prose(change.sentence) if change.kind in ("broken", "changed verdict") else (),
    )


def _verdict(word: str, size: str) -> Badge:
    """A verdict out of a comparison; one that no release knows is shown as it is."""
    for verdict in SIGNS:
        if verdict == word:
            return badge(verdict, size)
    return Badge(word, "?", "mute", size)
