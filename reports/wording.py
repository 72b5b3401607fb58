"""Words, signs and numbers as a reader sees them; shared by the page and the terminal."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.campaign.records import (
    AGREEING,
    SEVERITY,
    CaseRecord,
    Finding,
    Number,
    QuantityRecord,
    RunRecord,
    Verdict,
    as_float,
)

Tone = Literal["good", "kink", "note", "mute", "warn", "bad"]

WRONG: tuple[Verdict, ...] = ("mismatch", "crash", "non-finite")
FAULTS: tuple[Verdict, ...] = ("mismatch", "non-finite", "suspicious")
"""The verdicts that are placed somewhere, and speak against the operation there."""
UNJUDGED: tuple[Verdict, ...] = ("not implemented", "ill-conditioned", "undecided", "crash")
"""The verdicts that say nothing about the numbers."""
MISSING = "not recorded"


@dataclass(frozen=True)
class Sign:
    """How a verdict looks: a symbol and a tone, so that colour is never the only sign, and what it means."""

    verdict: Verdict
    symbol: str
    tone: Tone
    meaning: str


SIGNS: dict[Verdict, Sign] = {
    sign.verdict: sign
    for sign in (
        Sign("exact", "=", "good", "The nearest floating-point number to the exact value: no other is closer."),
        Sign("rounding", "≈", "good", "Not exact, but within the bound that rounding alone can explain. Correct."),
        Sign(
            "undetermined branch",
            "◇",
            "kink",
            "The exact value lies so near a kink (such as ReLU at 0) that rounding alone decides which side a correct "
            "program takes. The result is right for the side it took. Not a bug.",
        ),
        Sign(
            "convention",
            "§",
            "note",
            "Differs by a documented choice (where an epsilon sits, say), and by just the amount that choice predicts.",
        ),
        Sign("not implemented", "∅", "mute", "The implementation says that it lacks something that this case needs."),
        Sign("ill-conditioned", "∞", "mute", "The rounding bound is infinite here: no digit can be judged."),
        Sign("undecided", "?", "mute", "The exact value could not be had, so there is nothing to judge against."),
        Sign(
            "suspicious",
            "▲",
            "warn",
            "Within the worst case, but further off than rounding is likely to take it. Only what is judged without "
            "its intermediate numbers can be suspicious: record them, and each operation is judged by itself.",
        ),
        Sign("non-finite", "!", "bad", "NaN or infinity where the exact value is finite, or the other way round."),
        Sign("crash", "†", "bad", "The implementation raised an error."),
        Sign("mismatch", "✗", "bad", "Further from the exact value than rounding can explain: wrong."),
    )
}

VERDICT_SHORT: dict[Verdict, str] = {"undetermined branch": "branch"}
"""Words where there is little room."""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PLACE = re.compile(
    r"(?:(?P<kind>value|grad|param) |state (?P<slot>.+) of )(?P<name>.+) at step (?P<step>\d+)", re.DOTALL
)


def short(value: float, digits: int = 2) -> str:
    """A few significant digits, as one would write them by hand.

    >>> [short(v) for v in (0.0, 0.333, 12.34, 812.0, 3.1e7, 2e-17, float("inf"), float("nan"))]
    ['0', '0.33', '12.3', '812', '3.1×10⁷', '2×10⁻¹⁷', '∞', 'n/a']
    """
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0:
        return "0"
    if 0.001 <= size < 1:
        text = f"{size:.{digits}g}"
    elif 1 <= size < 100:
        text = f"{size:.{digits - 1}f}".removesuffix(".0")
    elif 100 <= size < 99_999.5:
        text = f"{size:,.0f}"
    else:
        mantissa, exponent = f"{size:.{digits - 1}e}".split("e")
        mantissa = mantissa.removesuffix(".0")
        text = f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPT)}"
    return ("−" if value < 0 else "") + text


def ratio_text(number: Number) -> str:
    """error / bound.

    >>> ratio_text(0.25), ratio_text("nan"), ratio_text(1e-9), ratio_text(0.9999), ratio_text(1.0001)
    ('0.25', 'n/a', '<0.001', '>0.99', '>1')
    """
    value = as_float(number)
    if 0.99 < value < 1.05 and value != 1:
        return ">0.99" if value < 1 else ">1"
    return "<0.001" if 0 < value < 0.001 else short(value)


def ulps_text(number: Number) -> str:
    """A signed error in units in the last place.

    >>> ulps_text(0.31), ulps_text(-2.0), ulps_text(0.0), ulps_text("nan"), ulps_text(2.4e12)
    ('+0.3', '−2.0', '0', 'n/a', '+2.4×10¹²')
    """
    value = as_float(number)
    if not math.isfinite(value):
        return short(value)
    size = abs(value)
    if size == 0:
        return "0"
    sign = "−" if value < 0 else "+"
    if size < 0.05:
        return f"{sign}<0.1"
    return sign + (f"{size:.1f}" if size < 100 else short(size))


def size_text(number: Number) -> str:
    """The size of an error in units in the last place, without its sign.

    >>> size_text(-2.0), size_text("nan")
    ('2.0', 'n/a')
    """
    return ulps_text(number).lstrip("+−")


def shape_text(shape: Sequence[int]) -> str:
    """A shape.

    >>> shape_text([3, 4]), shape_text([]), shape_text([5])
    ('3×4', 'scalar', '5')
    """
    return "×".join(str(size) for size in shape) or "scalar"


def index_text(flat: int, shape: Sequence[int]) -> str:
    """A flat index as the indices a user would write.

    >>> index_text(5, [3, 4]), index_text(0, []), index_text(-1, [3])
    ('[1, 1]', '', '')
    """
    if flat < 0 or not shape:
        return ""
    indices: list[int] = []
    for size in reversed(shape):
        flat, index = divmod(flat, size) if size else (0, 0)
        indices.append(index)
    return f"[{', '.join(str(index) for index in reversed(indices))}]"


def quantity_label(kind: str, name: str, step: int, slot: str = "") -> str:
    """A quantity's name, the same as the harness gives it.

    >>> quantity_label("grad", "W1", 0), quantity_label("state", "W1", 3, "m")
    ('grad W1 at step 0', 'state m of W1 at step 3')
    """
    what = f"state {slot} of {name}" if kind == "state" else f"{kind} {name}"
    return f"{what} at step {step}"


def place_name(place: str) -> str:
    """The node or parameter that a finding's place speaks of; the place itself when it is not a quantity.

    >>> place_name("state m of W1 at step 3"), place_name("relu1")
    ('W1', 'relu1')
    """
    found = PLACE.fullmatch(place)
    return found["name"] if found else place


def listing(items: Sequence[str]) -> str:
    """Items in a sentence.

    >>> listing(["numpy", "torch", "jax"]), listing(["numpy"]), listing([])
    ('numpy, torch and jax', 'numpy', '')
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    >>> counted(1, "case"), counted(1200, "case"), counted(2, "branch", "branches")
    ('1 case', '1,200 cases', '2 branches')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def severity(verdict: Verdict) -> int:
    """How grave a verdict is; a word that no release knows counts as the gravest."""
    return SEVERITY.index(verdict) if verdict in SEVERITY else len(SEVERITY)


def largest(numbers: Iterable[Number]) -> float:
    """The largest size of some numbers; NaN only when nothing else is there, 0 for none.

    >>> largest([-2.0, "nan", 1.0]), largest(["nan"]), largest([])
    (2.0, nan, 0.0)
    """
    best, some = -1.0, False
    for number in numbers:
        some, size = True, abs(float(number))
        if size > best:
            best = size
    return best if best >= 0 else (math.nan if some else 0.0)


def harmless(case: CaseRecord) -> bool:
    """Whether every implementation that has what a case needs agrees."""
    verdicts = {finding.verdict for finding in case.findings}
    return bool(verdicts & set(AGREEING)) and verdicts <= {*AGREEING, "not implemented"}


def worst_finding(cases: Iterable[CaseRecord]) -> tuple[CaseRecord, Finding] | None:
    """The gravest finding that says something is wrong; of equals, the one furthest beyond its bound."""
    found = ((case, finding) for case in cases for finding in case.findings if finding.verdict in WRONG)
    return max(found, key=lambda pair: (severity(pair[1].verdict), largest([pair[1].worst_ratio])), default=None)


def incomplete(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """Why a run does not count as complete; empty when it does."""
    reasons = [] if run.finished else ["the run had not finished when this was written"]
    if len(cases) < run.planned:
        verb = "is" if len(cases) == 1 else "are"
        reasons.append(f"{len(cases):,} of {counted(run.planned, 'planned case')} {verb} judged")
    return ": ".join(reasons)


def headline(run: RunRecord, cases: Sequence[CaseRecord]) -> list[str]:
    """The run in a sentence or two: the worst finding first, if something is wrong, then the count."""
    sentences = []
    worst = worst_finding(cases)
    if worst:
        sentences.append(worst[1].sentence)
    if not cases:
        return [*sentences, "No case has been judged."]
    total = len(cases)
    by: dict[Verdict, int] = {}
    for case in cases:
        by[case.verdict] = by.get(case.verdict, 0) + 1
    agree = sum(by.get(verdict, 0) for verdict in AGREEING)
    where = f" in {listing(run.implementations)}" if run.implementations else ""
    if agree == total:
        first = f"All {total:,} cases agree" if total > 1 else "The one case agrees"
    else:
        first = f"{agree:,} of {counted(total, 'case')} agree{'s' if agree == 1 else ''}"
    parts = [f"{first} to within rounding{where}"]
    phrases: dict[Verdict, tuple[str, str]] = {
        "undetermined branch": (
            "sits on a kink where the branch is undetermined",
            "sit on a kink where the branch is undetermined",
        ),
        "convention": ("differs by a documented convention", "differ by a documented convention"),
        "not implemented": ("is not implemented everywhere", "are not implemented everywhere"),
        "ill-conditioned": ("is too ill-conditioned to judge", "are too ill-conditioned to judge"),
        "undecided": ("is undecided", "are undecided"),
        "suspicious": ("is further off than rounding is likely to be", "are further off than rounding is likely to be"),
        "non-finite": ("has NaN or infinity where none belongs", "have NaN or infinity where none belongs"),
        "crash": ("crashed", "crashed"),
    }
    for verdict, (one, many) in phrases.items():
        if number := by.get(verdict, 0):
            parts.append(f"{number:,} {one if number == 1 else many}")
    wrong = by.get("mismatch", 0)
    parts.append(f"{wrong:,} mismatch{'' if wrong == 1 else 'es'}" if wrong else "no mismatch")
    return [*sentences, "; ".join(parts) + "."]


def quantities_by_label(case: CaseRecord) -> dict[str, QuantityRecord]:
    """The quantities of a case under the names that findings and remarks use for them."""
    return {quantity_label(q.kind, q.name, q.step, q.slot): q for q in case.quantities}


def training_text(case: CaseRecord) -> str:
    """How many updates, by which optimizer."""
    steps = counted(case.steps, "update step") if case.steps else "no update"
    return f"{steps} with {case.optimizer}" if case.optimizer else steps


def show_command(store: str, case_id: str, page: str = "") -> str:
    """The command that tells everything about a stored case, or writes a page on it.

    >>> show_command("out/my results.sqlite", "1f"), show_command("a.sqlite", "1f", "case.html")
    ("gradparity show 'out/my results.sqlite' 1f", 'gradparity show a.sqlite 1f --html case.html')
    """
    return f"gradparity show {shlex.quote(store)} {shlex.quote(case_id)}" + (f" --html {page}" if page else "")


def commands(case: CaseRecord, store: str) -> list[tuple[str, str]]:
    """What can be done with a stored case, and the command that does it; nothing where it is not known to be stored.

    >>> case = CaseRecord(id="1f", title="", verdict="exact", headline="", dtype="float64", steps=0)
    >>> commands(case, "out/my results.sqlite")[0]
    ('run it again', "gradparity replay 'out/my results.sqlite' 1f")
    """
    if not store:
        return []
    where = f"{shlex.quote(store)} {shlex.quote(case.id)}"
    small = [("the smallest case with the same fault", f"gradparity shrink {where} -o small.json")]
    return [
        ("run it again", f"gradparity replay {where}"),
        ("as a script that needs only the frameworks", f"gradparity reproduce {where} -o reproducer.py"),
        *(small if case.verdict in WRONG else []),
        ("as a case file", f"gradparity export {where} > case.json"),
    ]
