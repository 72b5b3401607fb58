"""Every planted mistake against the generated cases: is it found, after how many, and how small does it get?

    python -m benchmarks.mutation [--only CARD]... [--no-shrink] [--jobs N] [--output docs/mutation.md]

A card's mistakes are looked for in generated cases around that card, as `gradparity check` does; an executor's around a
card that brings them out. What is found is shrunk by Hypothesis to its smallest case with the same verdict in the same
operation.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from benchmarks.page import table
from harness.campaign.card_check import ENOUGH, Cases, Found, smallest, try_mistake
from harness.case import Case
from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants, mutated_cards, mutated_executor
from harness.registry import Cards, installed_cards
from reference_impls.numpy_impl import NumpyImplementation

STEPPING = (
    "steps_counted_from_two", "state_forgotten", "torch_gradients_not_zeroed", "torch_parameters_left_out",
    "jax_state_thrown_away", "jax_updates_applied_twice",
)  # fmt: skip
"""Mistakes of executors that take an update to show."""
PACKAGES = ("gradparity", "numpy", "hypothesis", "python-flint")


@dataclass(frozen=True)
class Row:
    """One mistake: what was found, how long the search took, and the smallest case with the same fault."""

    found: Found
    seconds: float
    least: Case | None = None
    shrink_seconds: float = 0.0

    @property
    def crashes(self) -> bool:
        """Whether shapes that no longer fit gave it away."""
        return self.found.finding is not None and self.found.finding.verdict == "crash"


def cases_for(mutant: Mutant, cards: Cards) -> Cases:
    """Cases around the card that is wrong; for an executor, around one whose use brings out what it does."""
    if mutant.target in cards.operations or mutant.target in cards.optimizers:
        return Cases(cards, mutant.target)
    return Cases(cards, "adam" if mutant.name in STEPPING else "dense")


def measure(mutants: Sequence[Mutant], cards: Cards, *, shrink: bool, jobs: int) -> Iterator[Row]:
    """Look for each mistake, and make it small; those of one card in one process, which keeps its cases."""
    by_card: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_card.setdefault(cases_for(mutant, cards).card, []).append(mutant)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        measured = [pool.submit(measure_card, card, some, shrink) for card, some in by_card.items()]
        for one in as_completed(measured):
            for row in one.result():
                after = "NEVER" if row.found.after is None else str(row.found.after)
                print(f"{after:>5} cases {row.seconds:6.1f} s  {row.found.mutant.name}", file=sys.stderr, flush=True)
                yield row


def measure_card(card: str, mutants: Sequence[Mutant], shrink: bool) -> list[Row]:
    """The same for mistakes that are looked for in cases around one card."""
    cards = installed_cards()
    cases, rows = Cases(cards, card), []
    for mutant in mutants:
        in_card = mutant not in EXECUTOR_MUTANTS
        planted = NumpyImplementation(cards=mutated_cards(mutant, cards)) if in_card else mutated_executor(mutant)
        began = time.perf_counter()
        found = try_mistake(mutant, planted, cases)
        row = Row(found, time.perf_counter() - began)
        if shrink and found.case is not None and found.finding is not None:
            began = time.perf_counter()
            least, _ = smallest(found.case, found.finding, planted, cases)
            row = Row(found, row.seconds, least, time.perf_counter() - began)
        rows.append(row)
    return rows


def size(case: Case) -> tuple[int, int, int]:
    """Layers, the widest axis, and the samples (the first axis of the first input or constant)."""
    shapes = [spec.shape for spec in case.network.tensors().values()]
    given = [spec.shape for spec in (*case.network.inputs.values(), *case.network.constants.values())]
    samples = max((shape[0] for shape in given if shape), default=1)
    return len(case.network.nodes), max((extent for shape in shapes for extent in shape), default=1), samples


def is_round(case: Case) -> bool:
    """Whether all its numbers are whole."""
    return all(bool((array == array.round()).all()) for array in case.values.values())


def page(command: str, rows: Sequence[Row], seconds: float) -> str:
    """The table, and what it comes to."""
    caught = [row for row in rows if row.found.after is not None]
    counts = [row.found.after for row in caught if row.found.after is not None]
    least = [(row, row.least) for row in caught if row.least is not None]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    said = [
        f"**{len(caught)} of {len(rows)} planted mistakes are found**, by generated cases judged in full: half of them "
        f"within {statistics.median(counts):g}, the slowest after {max(counts)} of at most {ENOUGH} cases.",
    ]
    if least:
        layers, widest, samples = (sorted(column) for column in zip(*(size(case) for _, case in least), strict=True))
        high = min(len(layers) - 1, round(0.95 * len(layers)))
        times = sorted(row.shrink_seconds for row, _ in least)
        whole = sum(is_round(case) for _, case in least)
        said.append(
            f"Shrunk with verdict and place kept, a median mistake shows in {statistics.median(layers):g} layers, "
            f"{statistics.median(widest):g} units and {statistics.median(samples):g} samples; 95 % in at most "
            f"{layers[high]}, {widest[high]} and {samples[high]}. {whole} of {len(least)} are left with whole numbers "
            f"alone. Shrinking took {statistics.median(times):.1f} s in the median, {times[-1]:.0f} s at most."
        )
    header = ["mistake", "what it stands for", "cases", "seconds", "named"]
    header += ["layers, units, samples", "shrunk in"] if least else []
    cells = [
        (
            f"`{row.found.mutant.name}`",
            row.found.mutant.mistake,
            "**never**" if row.found.after is None else row.found.after,
            f"{row.seconds:.1f}",
            "by its shapes" if row.crashes else row.found.finding.op if row.found.finding else "",
            ", ".join(map(str, size(row.least))) if row.least else "",
            f"{row.shrink_seconds:.1f} s" if row.least else "",
        )[: len(header)]
        for row in rows
    ]
    date = datetime.datetime.now(datetime.UTC).date()
    parts = [
        "# Planted mistakes",
        f"Generated by `{command}` on {date}, with {versions}; {seconds / 60:.0f} minutes.",
        *said,
        "Every mistake is one changed line of a card's NumPy source (a card carries its own, see "
        "`Operation.mistakes`) or of an executor. `cases` counts judged cases until the first that is called wrong, "
        "`named` is the operation that the judge holds responsible.",
        table(header, cells),
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when a mistake is not found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], help="only this card's; repeatable")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for the smallest cases")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--output", type=Path, default=Path("docs/mutation.md"))
    given = parser.parse_args(arguments)
    cards = installed_cards()
    mutants = [one for one in (*card_mutants(cards), *EXECUTOR_MUTANTS) if not given.only or one.target in given.only]
    began = time.perf_counter()
    order = {mutant.name: number for number, mutant in enumerate(mutants)}
    measured = measure(mutants, cards, shrink=not given.no_shrink, jobs=given.jobs)
    rows = sorted(measured, key=lambda row: order[row.found.mutant.name])
    given.output.parent.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python -m benchmarks.mutation", *(arguments if arguments is not None else sys.argv[1:])])
    given.output.write_text(page(command, rows, time.perf_counter() - began), encoding="utf-8")
    return 1 if any(row.found.after is None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
