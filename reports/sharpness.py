"""How sharp a test was, in words: what it would have seen, and which of its passes say nothing."""

from __future__ import annotations

from collections.abc import Iterable

from harness.campaign.records import CaseRecord, Cell, Finding, Number, as_float
from reports.wording import short

VACUOUS_SIGN = "◌"


def change_text(sharpness: Number) -> str:
    """The smallest relative change that would have been seen.

    >>> change_text(2.8e-15), change_text(0.0), change_text("inf"), change_text("nan")
    ('2.8×10⁻¹⁵', 'any', 'none', 'n/a')
    """
    value = as_float(sharpness)
    if value == 0:
        return "any"
    return "none" if value == float("inf") else short(value)


def vacuous_text(vacuous: int, total: int) -> str:
    """How many passes are vacuous, of how many numbers.

    >>> vacuous_text(0, 468), vacuous_text(1, 468), vacuous_text(12, 468)
    ('none of 468 numbers passes vacuously', '1 of 468 numbers passes vacuously', '12 of 468 numbers pass vacuously')
    """
    noun = "number" if total == 1 else "numbers"
    verb = "passes" if vacuous < 2 else "pass"
    return f"{vacuous or 'none':{',' if vacuous else ''}} of {total:,} {noun} {verb} vacuously"


def has_gradients(case: CaseRecord, finding: Finding) -> bool:
    """Whether any gradient of an implementation was judged; without one there is no sharpness to speak of."""
    who = finding.implementation
    gradients = [quantity for quantity in case.quantities if quantity.kind == "grad"]
    return bool(finding.numbers) and any(cell.implementation == who for one in gradients for cell in one.cells)


def sharpness_sentence(case: CaseRecord, finding: Finding) -> str:
    """What one implementation's test would have seen, and how many of its passes say nothing; empty if unknown."""
    if not finding.numbers:
        return ""
    change = as_float(finding.sharpness)
    parts = []
    if has_gradients(case, finding):
        where = "in half of the gradient elements"
        if change == 0:
            parts.append(f"would have seen any change {where}")
        elif change == float("inf"):
            parts.append(f"would have seen no change {where}, however large")
        elif change == change:
            parts.append(f"would have seen a relative change of {short(change)} {where}")
    return "; ".join([*parts, vacuous_text(finding.vacuous, finding.numbers)])


def cell_sharpness(cell: Cell, finding: Finding | None, size: int) -> str:
    """The same for one quantity, in as few words as can be; empty if unknown.

    >>> finding = Finding(implementation="jax", verdict="rounding", sentence="", numbers=3)
    >>> cell_sharpness(Cell(implementation="jax", verdict="rounding", sharpness=2.8e-15, vacuous=1), finding, 3)
    'sees 2.8×10⁻¹⁵ · 1 of 3 vacuous'
    """
    if finding is None or not finding.numbers:
        return ""
    change = change_text(cell.sharpness)
    sees = {"any": "sees any change", "none": "sees no change", "n/a": ""}.get(change, f"sees {change}")
    vacuous = f"{cell.vacuous:,} of {size:,} vacuous" if cell.vacuous else ""
    return " · ".join(part for part in (sees, vacuous) if part)


def vacuous_totals(cases: Iterable[CaseRecord]) -> tuple[int, int]:
    """How many numbers of a run pass vacuously, and how many were judged."""
    findings = [finding for case in cases for finding in case.findings]
    return sum(finding.vacuous for finding in findings), sum(finding.numbers for finding in findings)


def vacuous_warning(cases: Iterable[CaseRecord]) -> str:
    """What has to be said before any count, when a pass is vacuous; empty when none is."""
    vacuous, total = vacuous_totals(cases)
    if not vacuous:
        return ""
    theirs = (
        "its rounding bound is as large as it is" if vacuous == 1 else ("their rounding bound is as large as they are")
    )
    return f"{vacuous_text(vacuous, total)}: {theirs}"
