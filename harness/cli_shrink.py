"""The command `gradparity shrink`: the smallest case with the same fault."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli_shared import EXIT_DISAGREE, EXIT_NOTHING, chosen_implementations, find_case, write_whole

if TYPE_CHECKING:
    from harness.campaign.records import Finding
    from harness.case import Case
    from harness.protocol import Implementation
    from harness.registry import Cards


@click.command()
@click.argument("which")
@click.argument("case_id", required=False)
@click.option("--impl", "implementations", multiple=True, help="As for `run`.")
@click.option("--without", multiple=True, help="As for `run`.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Where the search begins.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: stdout]")
def shrink(
    which: str,
    case_id: str | None,
    implementations: tuple[str, ...],
    without: tuple[str, ...],
    seed: int,
    output: Path | None,
) -> None:
    """Look for the smallest case with the same fault, and write it as a case file.

    WHICH is a case file, a worked example's KEY/CASE, or a results.sqlite followed by the beginning of a case's id. The
    fault is the gravest of all implementations; it is kept: the same verdict, in the same operation. Architecture,
    weights and inputs shrink together. Takes seconds, a minute after a crash, and minutes where JAX is at fault, which
    compiles every network.
    """
    from harness.campaign.card_check import extent
    from harness.registry import installed_cards

    cards, case = installed_cards(), find_case(which, case_id).case
    at_fault = _gravest(case, cards, chosen_implementations(implementations, without))
    if at_fault is None:
        click.echo("Nothing is wrong with this case, so there is nothing to keep while it shrinks.", err=True)
        sys.exit(EXIT_NOTHING)
    one, finding = at_fault
    least, found = min(_attempts(case, finding, one, cards, seed), key=lambda pair: extent(pair[0]))
    for said in (found.sentence, found.detail, f"{_size(case)} before, {_size(least)} now"):
        click.echo(said, err=True)
    text = least.to_json().decode()
    if output is None:
        click.echo(text)
    else:
        write_whole(output, text)
        click.echo(f"case: {output.resolve()}")
    sys.exit(EXIT_DISAGREE)


def _gravest(
    case: Case, cards: Cards, implementations: Sequence[Implementation]
) -> tuple[Implementation, Finding] | None:
    """Who is at fault, and of what; of equals, the first."""
    from harness.campaign.card_check import finding_of
    from harness.judge.findings import gravity
    from harness.judge.judge import FAULTS

    findings = [(one, finding_of(case, cards, one)) for one in implementations]
    wrong = [pair for pair in findings if pair[1].verdict in (*FAULTS, "crash")]
    return max(wrong, key=lambda pair: gravity(pair[1]), default=None)


def _attempts(
    case: Case, finding: Finding, one: Implementation, cards: Cards, seed: int
) -> Iterator[tuple[Case, Finding]]:
    """The case itself, and the smallest around each card that may be at fault: after a crash, that is any of them."""
    from harness.campaign.card_check import ENOUGH, Cases, smallest

    yield case, finding
    named = dict.fromkeys(op.split()[0] for op in finding.op.split(" or ") if op)
    used = dict.fromkeys(node.op for _, node in case.network.operations())
    for card in named or used:
        if card in cards.operations or card in cards.optimizers:
            yield smallest(case, finding, one, Cases(cards, card, seed), (10 if named else 1) * ENOUGH)


def _size(case: Case) -> str:
    from harness.campaign.card_check import extent

    operations, numbers = extent(case)
    return f"{operations} operation{'s' * (operations != 1)}, {numbers:,} number{'s' * (numbers != 1)}"
