"""False alarms at scale: twenty thousand random nets, three correct programs, two dtypes.

    python -m benchmarks.sweep [--nets N] [--seed S] [--minutes M] [--output docs/false_alarms.md] [--alarms DIR]

The population is that of `benchmarks.population`, with many draws for one architecture, so that JAX compiles seldom.
Whole blocks are screened (`harness.judge.screen`); every trace in which something does not pass is judged in full, and
is an alarm when it is called wrong there.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.alarms import DTYPES, SATURATED, Alarm, saturated
from benchmarks.calibrate import PACKAGES, write_alarms
from benchmarks.page import table
from benchmarks.population import DEPTHS, REGIMES, Net, draw_architecture, draw_values
from benchmarks.tally import EDGES, FAULTS, Tally
from harness import Cards, Case, Implementation, Trace, implementation, installed_cards
from harness.campaign.records import SEVERITY
from harness.judge.findings import find
from harness.judge.judge import PASSING, judge
from harness.judge.oracle import Undecided
from harness.judge.screen import Screening, screen

DRAWS = 96
"""Draws for each architecture: eight in every regime."""
BLOCK = 300_000
"""So many numbers of a parameter set are held in one block."""
OPEN = [SEVERITY.index(verdict) for verdict in ("ill-conditioned", "undecided")]

Counts = dict[tuple[str, str, bool], Tally]
"""By program, dtype, and whether the probabilities are saturated."""


def blocks(nets: int, seed: int) -> Iterator[list[Net]]:
    """The population, one architecture at a time."""
    for index, start in enumerate(range(0, nets, DRAWS)):
        rng = np.random.default_rng([seed, index])
        architecture = draw_architecture(rng, DEPTHS[index % len(DEPTHS)])
        network = architecture.network()
        regimes = [regime for regime in REGIMES for _ in range(DRAWS // len(REGIMES))][: nets - start]
        yield [Net(architecture, network, one, draw_values(rng, architecture, network, one)) for one in regimes]


def tally(screening: Screening, chosen: Sequence[int]) -> Tally:
    """The counts of some of the screened traces."""
    total = Tally(nets=len(chosen))
    for quantity, comparison in screening.comparisons.items():
        verdicts, ratios = comparison.verdicts[chosen], comparison.ratios[chosen]
        sharpness, errors = screening.sharpness[quantity][chosen], comparison.errors[chosen]
        passed = np.isin(verdicts, PASSING)
        counted = ratios[passed & np.isfinite(sharpness) & (sharpness > 0)]
        total += Tally(
            numbers=verdicts.size,
            open=int(np.isin(verdicts, OPEN).sum()),
            vacuous=int((passed & (sharpness >= 1) & ~(np.isinf(sharpness) & (errors == 0))).sum()),
            worst=float(counted.max(initial=0.0)),
            ratios=np.bincount(np.searchsorted(EDGES, counted), minlength=EDGES.size + 1),
        )
    return total


def sweep_block(
    cases: Sequence[Case], programs: Sequence[Implementation], cards: Cards, counts: Counts, alarms: list[Alarm]
) -> None:
    """Screen the cases of one network and dtype in every program, and judge in full what does not pass."""
    apart = np.array([saturated(case) for case in cases])
    for program in programs:
        traces = [program.run(case) for case in cases]
        screening = screen(cases, cards, traces)
        for kind in (False, True):
            chosen = np.flatnonzero(apart == kind).tolist()
            if chosen:
                key = (program.name, cases[0].dtype, kind)
                counts[key] = counts.get(key, Tally()) + tally(screening, chosen)
        for number in screening.suspicious():
            verdict, sentence = _in_full(program, cases[number], cards, traces[number])
            key = (program.name, cases[0].dtype, bool(apart[number]))
            counts[key] += Tally(undecided=int(verdict == "undecided"))
            if verdict in FAULTS and not (program.name == "torch" and apart[number]):
                counts[key] += Tally(accused=1)
                alarms.append(Alarm(program.name, cases[number], sentence))


def _in_full(program: Implementation, case: Case, cards: Cards, trace: Trace) -> tuple[str, str]:
    try:
        finding = find(case, program.name, judge(case, cards, trace))
    except Undecided as undecided:
        return "undecided", str(undecided)
    return finding.verdict, f"{finding.sentence} {finding.detail}"


def sweep(
    nets: int, seed: int, programs: Sequence[Implementation], minutes: float
) -> tuple[int, Counts, list[Alarm]]:
    """So many nets, or as many as the time allows: how many were done, the counts, and the alarms."""
    began, done = time.monotonic(), 0
    counts: Counts = {}
    alarms: list[Alarm] = []
    cards = installed_cards()
    for drawn in blocks(nets, seed):
        size = max(1, BLOCK // max(1, sum(array.size for array in drawn[0].values.values())))
        for dtype in DTYPES:
            cases = [net.case(dtype) for net in drawn]
            for start in range(0, len(cases), size):
                sweep_block(cases[start : start + size], programs, cards, counts, alarms)
        done += len(drawn)
        spent = time.monotonic() - began
        print(f"[{spent:6.0f} s] {done:,} of {nets:,} nets, {len(alarms)} alarms", file=sys.stderr, flush=True)
        if spent > 60 * minutes:
            break
    return done, counts, alarms


def page(command: str, done: int, planned: int, counts: Counts, alarms: Sequence[Alarm], versions: str) -> str:
    """The page."""
    rows = [
        (
            program,
            dtype,
            SATURATED if apart else "all others",
            f"{one.nets:,}",
            f"{one.numbers:,}",
            one.accused,
            one.undecided,
            f"{100 * one.open / max(one.numbers, 1):.2f} %",
            f"{100 * one.vacuous / max(one.numbers, 1):.2f} %",
            f"{one.quantile(0.5):.2g}",
            f"{one.quantile(0.99):.2g}",
            f"{one.worst:.3g}",
        )
        for (program, dtype, apart), one in sorted(counts.items(), key=lambda item: (item[0][2], item[0]))
    ]
    header = ["program", "dtype", "kind", "nets", "numbers", "called wrong", "undecided", "open", "vacuous"]
    header += ["median error / bound", "99 %", "max"]
    found = "\n".join(f"- {one.program}: {one.case.title} (`{one.case.id}`): {one.sentence}" for one in alarms)
    judgements = sum(one.nets for one in counts.values())
    parts = [
        "# False alarms at scale",
        f"Generated by `{command}` on {datetime.datetime.now(datetime.UTC).date()}, with {versions}.",
        *([f"**Cut short by the time limit: {done:,} of {planned:,} nets.**"] if done < planned else []),
        f"**{len(alarms)} false alarms** in {judgements:,} judgements of correct programs: {done:,} random nets of "
        "depth 1 to 8, width 1 to 128 and batch 1 to 64, in twelve regimes (saturating, vanishing, ill-conditioned, "
        "nearly cancelling, zero-variance, sparse...; `docs/calibration.md` lists them). `open` numbers have an "
        "infinite bound, `vacuous` ones passed although their bound is as large as they are. Where a cross-entropy "
        f"works on {SATURATED} (q (1 - q) below 2e-12), torch goes its own documented way, and its verdicts there are "
        "no alarms.",
        table(header, rows),
        *([found] if found else []),
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when there were false alarms."""
    from importlib.metadata import version

    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so many")
    parser.add_argument("--output", type=Path, default=Path("docs/false_alarms.md"))
    parser.add_argument("--alarms", type=Path, help="where to write the cases of false alarms")
    given = parser.parse_args(arguments)
    programs = [implementation(name) for name in ("numpy", "torch", "jax")]
    done, counts, alarms = sweep(given.nets, given.seed, programs, given.minutes)
    command = f"python -m benchmarks.sweep --nets {given.nets} --seed {given.seed} --minutes {given.minutes:g}"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(page(command, done, given.nets, counts, alarms, versions), encoding="utf-8")
    if given.alarms is not None:
        write_alarms(alarms, given.alarms)
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
