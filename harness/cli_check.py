"""The command `gradparity check`: try one card, as somebody who has just written it does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.case import Case, Dtype
    from harness.protocol import Implementation
    from harness.registry import Cards

EXIT_AGREE, EXIT_DISAGREE = 0, 1
DTYPES = ("float16", "float32", "float64")
SHOWN = 5
"""So many findings are written out."""


@click.command()
@click.argument("card")
@click.option("--cases", "count", type=click.IntRange(1), default=64, show_default=True, help="How many cases.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which cases.")
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(DTYPES),
    multiple=True,
    help="A dtype of the cases. Repeatable.  [default: float32 and float64]",
)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Write the cases at fault there.")
def check(card: str, count: int, seed: int, dtypes: tuple[Dtype, ...], keep: Path | None) -> None:
    """Try one card: is it right, and would its mistakes be found?

    Draws cases that use the card, judges every installed implementation on them, then plants each mistake that the card
    carries in the NumPy implementation and looks for it. Exits with 1 when a correct implementation is called wrong
    or a mistake is not found.
    """
    from harness.campaign.card_check import Cases, try_card, try_mistakes
    from harness.errors import GradparityError
    from harness.registry import implementation, installed_cards, installed_implementations

    cards = installed_cards()
    if card not in cards.operations and card not in cards.optimizers:
        known = ", ".join(sorted([*cards.operations, *cards.optimizers]))
        raise GradparityError(f"no card is called {card!r}; there are: {known}")
    began = time.monotonic()
    cases = Cases(cards, card, seed, dtypes) if dtypes else Cases(cards, card, seed)
    implementations = [implementation(name) for name in installed_implementations()]
    tried = try_card(_shown(cases.first(count), count), cards, implementations)
    for name, verdicts in tried.verdicts.items():
        click.echo(f"{name:8} {', '.join(f'{number} {verdict}' for verdict, number in verdicts.most_common())}")
    for case, finding in tried.faults[:SHOWN]:
        click.echo(f"\n{case.title}\n  {finding.sentence} {finding.detail}\n  {case!r}")
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for case, _ in tried.faults:
            (keep / f"{case.id}.json").write_bytes(case.to_json())
    survived = 0
    for found in try_mistakes(cases, _numpy):
        survived += found.after is None
        what = "NOT FOUND" if found.after is None else f"found after {found.after}"
        op = f" in {found.finding.op}" if found.finding and found.finding.op else ""
        click.echo(f"{what:16}{op:24} {found.mutant.name}: {found.mutant.mistake}")
    click.echo(f"{len(tried.faults)} wrong verdicts, {survived} mistakes not found, {time.monotonic() - began:.0f} s")
    sys.exit(EXIT_DISAGREE if tried.faults or survived else EXIT_AGREE)


def _numpy(cards: Cards) -> Implementation:
    """The implementation that runs the cards' NumPy source, with these cards in place of the installed ones."""
    from harness.registry import implementation

    made = implementation("numpy")
    return type(made)(cards=cards)  # type: ignore[call-arg]


def _shown(cases: Iterator[Case], count: int) -> Iterator[Case]:
    with click.progressbar(cases, length=count, label="cases", file=sys.stderr) as shown:
        yield from shown
