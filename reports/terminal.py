"""A run as plain text: the same sentences and numbers as the page, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from harness.campaign.records import CaseRecord, Finding, QuantityRecord, RunRecord
from reports.wording import (
    AGREEING,
    MISSING,
    SIGNS,
    WRONG,
    counted,
    headline,
    incomplete,
    index_text,
    largest,
    quantities_by_label,
    ratio_text,
    severity,
    ulps_text,
)

WIDTH = 100
LINES_PER_FINDING = 25
ROWS = 60
FINDINGS = 30
"""Up to so many findings are told, the gravest first."""


def summary(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """The headline, a table of verdicts, and what is to be said where it is more than rounding."""
    lines: list[str] = []
    if why := incomplete(run, cases):
        lines += [*_wrapped(f"INCOMPLETE: {why}."), ""]
    for sentence in headline(run, cases):
        lines += _wrapped(sentence)
    if cases:
        lines += ["", *_table(run, cases)]
    told = sorted(
        ((case, finding) for case in cases for finding in case.findings if finding.verdict not in AGREEING),
        key=lambda pair: (-severity(pair[1].verdict), -largest([pair[1].worst_ratio])),
    )
    for case, finding in told[:FINDINGS]:
        lines += ["", *_finding(run, case, finding)]
    if len(told) > FINDINGS:
        lines += ["", f"… and {counted(len(told) - FINDINGS, 'more finding')} in the report."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def plain(text: str) -> str:
    """A text without what a terminal would obey, and on one line.

    >>> plain("red \\x1b[31m\\nalert\\u202e")
    'red [31m alert'
    """
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(kept.split())


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(plain(text), WIDTH, initial_indent=indent, subsequent_indent=indent)


def _cut(text: str, length: int) -> str:
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _table(run: RunRecord, cases: Sequence[CaseRecord]) -> list[str]:
    names = run.implementations or list(
        dict.fromkeys(finding.implementation for case in cases for finding in case.findings)
    )
    names = names[:5]
    cell = 21 if len(names) <= 3 else 60 // len(names)
    first = WIDTH - len(names) * (cell + 1)
    order = sorted(range(len(cases)), key=lambda k: -severity(cases[k].verdict))
    kept = sorted(order[:ROWS])
    titles = {example.key: example.title for example in run.examples}
    lines = [_cut("", first).ljust(first) + "".join(f" {_cut(name, cell):<{cell}}" for name in names)]
    heading = None
    for case in (cases[k] for k in kept):
        title = titles.get(case.example, case.example) or ("Generated cases" if titles else "")
        if title != heading:
            heading = title
            lines += [_cut(title, WIDTH)] if title else []
        row = ("  " + _cut(case.title or case.key or case.id, first - 2)).ljust(first)
        for name in names:
            own = [finding for finding in case.findings if finding.implementation == name]
            worst = max(own, key=lambda finding: severity(finding.verdict), default=None)
            text = f"{SIGNS[worst.verdict].symbol} {worst.verdict}" if worst else f"– {MISSING}"
            row += f" {_cut(text, cell):<{cell}}"
        lines.append(row)
    if len(cases) > len(kept):
        lines.append(f"… and {counted(len(cases) - len(kept), 'more case')}, none graver, in the report.")
    return lines


def _finding(run: RunRecord, case: CaseRecord, finding: Finding) -> list[str]:
    sign = SIGNS[finding.verdict]
    word = finding.verdict.upper() if finding.verdict in WRONG else finding.verdict
    head = f"{sign.symbol} {word}  {plain(finding.implementation)}"
    if finding.place:
        head += f" · {plain(finding.place)}"
    number = f"case {_cut(case.id, 16)}"
    head = _cut(head, WIDTH - len(number) - 2)
    lines = [head + number.rjust(WIDTH - len(head))]
    lines += _wrapped(case.title, "  ")[:2]
    words = _wrapped(finding.sentence, "  ") + _wrapped(finding.detail, "  ")
    numbers = _numbers(finding, quantities_by_label(case).get(finding.place))
    network = " → ".join(node.op for node in case.graph if node.op)
    tail = [_cut(f"  {case.dtype}; {f'{case.optimizer}; ' if case.optimizer else ''}{network}", WIDTH - 2)]
    tail[0] = "  " + tail[0]
    room = LINES_PER_FINDING - len(lines) - len(numbers) - len(tail)
    if len(words) > room:
        words = [*words[: room - 1], "  …"]
    return [*lines, *words, *numbers, *tail]


def _numbers(finding: Finding, quantity: QuantityRecord | None) -> list[str]:
    """The values at the worst element of the place at fault, in every implementation."""
    if quantity is None:
        return []
    own = next((cell for cell in quantity.cells if cell.implementation == finding.implementation), None)
    flat = quantity.shown or list(range(len(quantity.exact)))
    if own is None or own.worst_index not in flat or flat.index(own.worst_index) >= len(quantity.exact):
        return []
    position = flat.index(own.worst_index)
    where = index_text(own.worst_index, quantity.shape)
    lines = [
        "",
        f"    {'':<14}{_cut(f'value at {where}' if where else 'value', 30):<34}{'ulp':>14}{'error / bound':>18}",
    ]
    lines.append(f"    {'exact':<14}{_cut(quantity.exact[position], 32):<34}")
    for cell in quantity.cells[:6]:
        value = cell.values[position] if position < len(cell.values) else MISSING
        ulps = ulps_text(cell.errors_ulps[position]) if position < len(cell.errors_ulps) else "–"
        ratio = ratio_text(cell.ratios[position]) if position < len(cell.ratios) else "–"
        mark = ">" if cell is own else " "
        lines.append(f"  {mark} {_cut(cell.implementation, 13):<14}{_cut(value, 32):<34}{ulps:>14}{ratio:>18}")
    return [*lines, ""]
