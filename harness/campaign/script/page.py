"""The page of a script: what is embedded, what it prints, how it exits."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.arrays import BallArray
from harness.campaign.records import Finding
from harness.campaign.script.network import Unrolled
from harness.campaign.script.numbers import comment, float_text, plain
from harness.campaign.script.source import Sources
from harness.campaign.script.update import UnrolledUpdate
from harness.case import Case
from harness.errors import GradparityError
from harness.protocol import Implementation
from harness.registry import Cards
from harness.trace import Quantity

DIGITS = 40
WRITTEN = ("numpy", "torch", "jax")
"""The implementations that a script can contain: those whose lines the cards hold."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One element of one quantity: what computes it, what it is held against, and what was seen.

    `sides` holds the exact value on the side that each implementation takes at an undetermined branch. `values` are
    the numbers that were seen, `crashes` what was raised instead.
    """

    case: Case
    quantity: Quantity
    index: tuple[int, ...]
    text: Unrolled | UnrolledUpdate
    exact: BallArray
    bound: float
    likely: bool
    sides: Mapping[str, BallArray]
    values: Mapping[str, float]
    crashes: Mapping[str, str]
    finding: Finding | None = None
    sources: Mapping[str, Cards] = field(default_factory=dict)

    @property
    def visible(self) -> bool:
        """Whether the value at fault, as it was seen, lies beyond the bound that the script has."""
        value = self.values.get(self.finding.implementation if self.finding else "", np.nan)
        nearest = float(self.exact.float(self.case.dtype)[self.index])
        off = float(np.abs((BallArray.exact(value) - self.exact).mid()[self.index])) if np.isfinite(value) else np.inf
        return bool(self.bound < np.inf and value != nearest and not off <= self.bound)

    @property
    def where(self) -> str:
        """The element in words."""
        return f"{self.quantity} at {list(self.index)}" if self.index else str(self.quantity)


def page(shown: Shown, cards: Cards, implementations: Sequence[Implementation]) -> str:
    """The script's text."""
    nearest = float(shown.exact.float(shown.case.dtype)[shown.index])
    if np.isnan(nearest):
        raise GradparityError(f"{shown.where} has no exact value, so nothing can be held against it")
    taken = Sources()
    header, functions, entries = _header(shown, implementations), [], []
    for number, one in enumerate(implementations):
        name = f"by_{one.name}" if one.name in WRITTEN else f"by_other_{number}"
        try:
            if one.name in WRITTEN:
                body = getattr(shown.text, one.name)(shown.sources.get(one.name, cards), taken)
            else:
                body = _placeholder(one, shown.values)
        except GradparityError as error:
            header.append(comment(f"{one.name} is not shown: {error}"))
            continue
        functions += [f"def {name}():", *(f"    {line}" if line else "" for line in body), ""]
        seen = shown.values.get(one.name)
        said = repr(shown.crashes.get(one.name, "not recorded")) if seen is None else float_text(seen)
        entries.append(f"    ({plain(one.name)!r}, {name}, {said}),")
    sides: dict[str, list[str]] = {}
    for name, ball in shown.sides.items():
        sides.setdefault(_digits(ball, shown.index), []).append(plain(name))
    written = [f"    {digits!r}: {', '.join(names)!r}," for digits, names in sides.items()]
    given = "\n".join(shown.text.given())
    modules = ["import sys", *(["import base64", "import zlib"] if "b85decode" in given else []), *taken.imports]
    return _TEMPLATE.format(
        needs="numpy, scipy" if any("scipy" in line for line in modules) else "numpy",
        header="\n".join(header),
        imports="\n".join([*sorted(modules), "from decimal import Decimal, getcontext"]),
        given=given,
        index=repr(shown.index),
        exact=repr(_digits(shown.exact, shown.index)),
        nearest=float_text(nearest),
        bound=float_text(shown.bound),
        of="is likely to take it" if shown.likely else "may take it",
        sides="\n".join(["", *written, ""]) if len(sides) > 1 else "",
        blocks=_spaced(taken.blocks),
        functions="\n".join(functions),
        entries="\n".join(entries),
        digits=DIGITS,
    )


def _digits(ball: BallArray, index: tuple[int, ...]) -> str:
    """A number that `Decimal` reads; of a ball around 0 of which no digit is known, the centre."""
    digits = str(ball.digits(DIGITS)[index])
    return repr(float(ball.mid()[index])) if digits.startswith("[") else digits


def _spaced(blocks: Sequence[str]) -> str:
    """The functions one after the other, with an empty line around those that are longer than three lines."""
    lines: list[str] = []
    for number, block in enumerate(blocks):
        if number and max(block.count("\n"), blocks[number - 1].count("\n")) > 2:
            lines.append("")
        lines.append(block)
    return "\n".join(lines)


def _placeholder(one: Implementation, values: Mapping[str, float]) -> list[str]:
    """Where somebody's own implementation is to be called, and the value that it had."""
    where: object = one if hasattr(one, "__qualname__") else type(one)
    stands = f"{getattr(where, '__module__', '?')}:{getattr(where, '__qualname__', '?')}"
    told = comment(f"{one.name!r} is {stands}, which this script cannot contain. Call it here. It had:")
    if one.name not in values:
        return [*told.split("\n"), 'raise NotImplementedError("it gave no number")']
    return [*told.split("\n"), f"return np.float64({float_text(values[one.name])})"]


def _header(shown: Shown, implementations: Sequence[Implementation]) -> list[str]:
    """What the script shows, and with which versions it was seen."""
    versions: dict[str, str] = {"Python": platform.python_version()}
    for one in implementations:
        versions |= {str(name): str(text) for name, text in dict(getattr(one, "versions", {})).items()}
    lines = []
    if shown.finding is not None:
        lines = [comment(f"{shown.finding.verdict}: {shown.finding.sentence} {shown.finding.detail}")]
        if shown.finding.verdict in ("mismatch", "non-finite") and not shown.visible:
            told = "But what was seen lies within the bound that the script has. This script will not show it."
            lines.append(comment(told))
        lines.append("#")
    title = f", {shown.case.title!r}" if shown.case.title else ""
    lines.append(comment(f"Shows {shown.where}, of case {shown.case.id}{title}."))
    lines.append(comment(f"Seen with {', '.join(f'{name} {text}' for name, text in versions.items())}."))
    return lines


_TEMPLATE = '''\
#!/usr/bin/env python3
# One discrepancy, by itself. Run it with: python THIS_FILE (needs {needs}, and what else is to be shown).
# Exits with 1 while something lies beyond the rounding bound, with 2 when what did so is not installed, else with 0.
#
{header}
{imports}

# ---- the numbers
{given}
INDEX = {index}  # the element that is shown
EXACT = Decimal({exact})  # its exact value, to {digits} digits
NEAREST = {nearest}  # the float nearest to it
BOUND = {bound}  # how far rounding {of}
SIDES = {{{sides}}}  # where rounding decides a branch: the exact value on each side, and who takes it

# ---- the operations, as they stand in gradparity's cards
{blocks}

# ---- the computation, unrolled
{functions}
SHOWN = (  # name, function, and the value that was seen when this script was written
{entries}
)

def beyond(value):
    return BOUND < float("inf") and value != NEAREST and not abs(float(Decimal(value) - EXACT)) <= BOUND

def main():
    getcontext().prec = 60
    code = missing = 0
    print("exact  ", EXACT)
    print("bound  ", BOUND)
    for name, compute, seen in SHOWN:
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(compute())
            value = float(value[INDEX] if value.ndim else value)
        except ImportError as error:
            print(f"{{name:<7}} is not installed: not shown ({{error}})")
            missing = 2 if isinstance(seen, str) or beyond(seen) else missing
        except Exception as error:
            print(f"{{name:<7}} crashed: {{type(error).__name__}}: {{error}}")
            code = 1
        else:
            error = 0.0 if value == NEAREST else float(Decimal(value) - EXACT)
            times = abs(error) / BOUND if BOUND else float("inf") if error else 0.0
            notes = f"{{' <- beyond it' if beyond(value) else ''}}{{'' if value == seen else f' (was {{seen}})'}}"
            print(f"{{name:<7}} {{value!r:<24}} off by {{error:.3e}}, {{times:.3g}} times the bound{{notes}}")
            code = 1 if beyond(value) else code
    for value, names in SIDES.items():
        print(f"the exact value on the side that {{names}} took: {{value}}")
    print("The difference persists." if code else "Nothing that ran lies beyond the bound.")
    return code or missing

if __name__ == "__main__":
    sys.exit(main())
'''
