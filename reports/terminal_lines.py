"""What both terminal texts are made of: safe, narrow lines, tables of one element, kinks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TypeVar

from harness.campaign.records import CaseRecord, Finding, KinkRecord, QuantityRecord, as_float
from reports.branches import kink_index, together
from reports.coverage import Bin, Coverage, Row
from reports.elements import KINDS, NOT_KNOWN, exact_text, hex_text, number_of, quantity_name
from reports.wording import (
    MISSING,
    SIGNS,
    WRONG,
    counted,
    index_text,
    largest,
    listing,
    quantities_by_label,
    ratio_text,
    severity,
    short,
    ulps_text,
)

Counted = TypeVar("Counted", Row, Bin)
WIDTH = 100
NAME = 40
NAMES = 4
"""So many implementations have a line in a table; those that something is said of are among them."""


def plain(text: str) -> str:
    """A text without what a terminal would obey, and on one line.

    >>> plain("red \\x1b[31m\\nalert\\u202e")
    'red [31m alert'
    """
    kept = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(kept.split())


def cut(text: str, length: int) -> str:
    """A text that is harmless and fits.

    >>> cut("a\\x1b[2Jrather long name", 8)
    'a [2Jra…'
    """
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def wrapped(text: str, indent: str = "") -> list[str]:
    """A text in lines."""
    return textwrap.wrap(plain(text), WIDTH, initial_indent=indent, subsequent_indent=indent)


def with_more(lines: Sequence[str], room: int, noun: str, indent: str = "  ") -> list[str]:
    """As many lines as there is room for; the last one says how many are missing.

    >>> with_more(["a", "b", "c", "d"], 3, "line")
    ['a', 'b', '  … and 2 more lines']
    """
    if len(lines) <= room:
        return list(lines)
    left = len(lines) - room + 1
    return [*lines[: room - 1], f"{indent}… and {counted(left, f'more {noun}')}"] if room > 0 else []


def case_number(case: CaseRecord) -> str:
    """The case's id, as it is written on the right of a title."""
    return f"case {cut(case.id, 16)}"


def title_line(text: str, case: CaseRecord) -> str:
    """A text, and on the right the case that it is about."""
    number = case_number(case)
    text = cut(text, WIDTH - len(number) - 2)
    return text + number.rjust(WIDTH - len(text))


def network_line(case: CaseRecord) -> str:
    """The operations in their order, and the penalties that are added to the loss."""
    operations = " → ".join(node.op for node in case.graph if node.op and node.kind != "penalty")
    penalties = [node.op for node in case.graph if node.op and node.kind == "penalty"]
    each = [f"{penalties.count(op)} × {op}" if penalties.count(op) > 1 else op for op in dict.fromkeys(penalties)]
    return " + ".join([operations or "no operation", *each])


def element_table(case: CaseRecord, findings: Sequence[Finding]) -> list[str]:
    """The numbers at the worst element of the place that findings speak of, in every implementation.

    `>` marks those at fault, the sign of their verdict the others that are spoken of.
    Empty where the record does not hold the element.
    """
    quantity = quantities_by_label(case).get(findings[0].place)
    spoken = {f.implementation: ">" if f.verdict in WRONG else SIGNS[f.verdict].symbol for f in findings}
    position = _position(quantity, findings[0].implementation) if quantity else None
    if quantity is None or position is None:
        return []
    flat = quantity.shown[position] if quantity.shown else position
    name = f"{KINDS[quantity.kind]} {quantity_name(quantity)}{index_text(flat, quantity.shape)} at step {quantity.step}"
    lines = [f"    {cut(name, 40):<41} {'hex float':<25}{'ulp':>12}{'error / bound':>15}"]
    exact = exact_text(quantity.exact[position])
    known = "" if exact == NOT_KNOWN else hex_text(quantity.exact[position], case.dtype)
    lines.append(f"    {'exact':<13}{_aligned(exact, 27):<28}{_aligned(known, 25):<26}")
    cells = sorted(quantity.cells, key=lambda cell: cell.implementation not in spoken)[:NAMES]
    for cell in (cell for cell in quantity.cells if cell in cells):
        value = cell.values[position] if position < len(cell.values) else MISSING
        ulps = ulps_text(cell.errors_ulps[position]) if position < len(cell.errors_ulps) else "–"
        ratio = ratio_text(cell.ratios[position]) if position < len(cell.ratios) else "–"
        mark = spoken.get(cell.implementation, " ")
        lines.append(
            f"  {mark} {cut(cell.implementation, 12):<13}{_aligned(value, 27):<28}"
            f"{_aligned(hex_text(value, case.dtype) or '–', 25):<26}{ulps:>12}{ratio:>15}"
        )
    if len(quantity.cells) > len(cells):
        lines.append(f"    … and {counted(len(quantity.cells) - len(cells), 'more implementation')}")
    return lines


def _aligned(number: str, length: int) -> str:
    """A number with room for a sign, so that digits stand below digits."""
    return cut(number, length) if number.startswith("-") else " " + cut(number, length - 1)


def _position(quantity: QuantityRecord, implementation: str) -> int | None:
    """Where the worst element of an implementation stands among those shown."""
    own = next((cell for cell in quantity.cells if cell.implementation == implementation), None)
    flat = quantity.shown or list(range(len(quantity.exact)))
    if own is None or own.worst_index not in flat or flat.index(own.worst_index) >= len(quantity.exact):
        return None
    return flat.index(own.worst_index)


def kink_lines(case: CaseRecord, kink: KinkRecord) -> list[str]:
    """One kink: how far the exact value is from it, how far rounding reaches, and who is on which side."""
    far = "exactly on its kink" if number_of(kink.gap) == 0 else f"{cut(exact_text(kink.gap), 27)} from its kink"
    op = f" ({cut(kink.op, 16)})" if kink.op else ""
    where = f"{cut(kink.node, 16)}{cut(kink_index(kink), 16)}{op}, step {kink.step}"
    lines = [cut(f"◇ {where}: {far}; bound {short(as_float(kink.bound))}", WIDTH - 2)]
    sides = together(kink)
    for names, value, branch in sides[:NAMES]:
        lines.append(f"    {cut(listing(names), 21):<23}{_aligned(value, 28):<30}{cut(branch, 41)}")
    if len(sides) > NAMES:
        lines.append(f"    … and {counted(len(sides) - NAMES, 'more side')}")
    return [f"  {line}".rstrip() for line in lines]


def tested_lines(tested: Coverage) -> list[str]:
    """What was tested, in how many cases each; what never came up, by name."""
    lines = [f"Tested, in so many of {tested.total} cases:"]
    for kind in tested.kinds:
        lines += _counts(kind.title.lower(), [(row.name, row.number) for row in by_number(kind.rows)])
    for table in tested.tables:
        bins = table.bins if table.ordered else by_number(table.bins)
        lines += _counts(table.title.lower(), [(one.name, one.number) for one in bins])
    near = [(row.name, f"{row.near} of {row.cases}" if not row.never else "0") for row in tested.kinks]
    return lines + (_counts("at a kink", near) if near else [])


def by_number(rows: Sequence[Counted]) -> list[Counted]:
    """The most frequent first."""
    return sorted(rows, key=lambda row: -int(row.number.replace(",", "")))


def _counts(title: str, counts: Sequence[tuple[str, str]]) -> list[str]:
    """A line, or some, of names with their numbers.

    >>> _counts("layers", [("dense", "12"), ("relu", "0")])
    ['  layers                  dense 12; never: relu']
    """
    said = [", ".join(f"{cut(name, NAME)} {number}" for name, number in counts if number != "0")]
    said += [f"never: {listing([cut(name, NAME) for name, number in counts if number == '0'])}"]
    text = "; ".join(part for part in said if part not in ("", "never: "))
    return textwrap.wrap(
        plain(text), WIDTH, initial_indent=f"  {cut(title, 23):<24}", subsequent_indent=" " * 26, break_on_hyphens=False
    )


def gravest_first(findings: Sequence[Finding]) -> list[Finding]:
    """Findings from grave to harmless, equals in their own order."""
    return sorted(findings, key=lambda finding: -severity(finding.verdict))


def gravest_groups(groups: Iterable[list[Finding]]) -> list[list[Finding]]:
    """Groups of findings from grave to harmless; of equals the one furthest beyond its bound first."""
    return sorted(groups, key=lambda group: (-severity(group[0].verdict), -largest([group[0].worst_ratio])))
