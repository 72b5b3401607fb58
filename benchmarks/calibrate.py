"""Measure what the judgement is worth, and write it down.

    python -m benchmarks.calibrate [--nets N] [--seed S] [--minutes M] [--output docs/calibration.md] [--alarms DIR]

Everything is drawn from the seed: the same command measures the same cases. When the time is up, the sections that
were not finished say so in the page. With `--alarms`, each case in which a correct program was called wrong is written
there as a case file.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.alarms import Alarm, measure, measure_updates
from benchmarks.bug_table import measure_bugs
from benchmarks.bugs import BUGS, Bug
from benchmarks.cost import SIZES, measure_cost
from benchmarks.kinks import measure_kinks
from benchmarks.page import Calibration, page
from benchmarks.population import Net, population
from harness import Implementation, implementation

PACKAGES = ("gradparity", "numpy", "torch", "jax", "jaxlib", "optax", "python-flint")
NETS_AT_MOST = 20_000


@dataclass(frozen=True)
class Settings:
    """How much to measure. The shares of the time limit are upper limits; the nets get what is left."""

    nets: int = 96
    seed: int = 2026
    minutes: float = 5.0
    mistakes: int = 2
    kinks: int = 40
    updates: int = 8
    bugs: Sequence[Bug] = BUGS
    sizes: Sequence[int] = tuple(SIZES)

    @property
    def command(self) -> str:
        """The line that measures this again."""
        return f"python -m benchmarks.calibrate --nets {self.nets} --seed {self.seed} --minutes {self.minutes:g}"


def calibrate(
    settings: Settings, programs: Sequence[Implementation], say: Callable[[str], None] = lambda text: None
) -> Calibration:
    """Measure everything; the programs are taken to be correct."""
    began = time.monotonic()

    def until(part: float) -> Callable[[], bool]:
        return lambda: time.monotonic() - began > part * settings.minutes * 60

    cut: list[str] = []
    say("cost")
    costs = measure_cost(programs, out_of_time=until(0.08), sizes=settings.sizes)
    if len(costs) < 2 * len(settings.sizes):
        cut.append(f"{len(costs)} of {2 * len(settings.sizes)} rows of costs.")
    say("kinks")
    kinks, kink_alarms = measure_kinks(settings.kinks, programs, settings.seed, out_of_time=until(0.18))
    steered = sum(one.nets for (_, origin), one in kinks.items() if origin != "diagonal flip")
    if steered < 2 * settings.kinks:
        cut.append(f"{steered} of {2 * settings.kinks} nets at kinks.")
    say("mistakes")
    bugs = measure_bugs(settings.seed, out_of_time=until(0.45), bugs=settings.bugs)
    if len(bugs) < 2 * len(settings.bugs):
        cut.append(f"{len(bugs)} of {2 * len(settings.bugs)} rows of mistakes.")
    counter = itertools.count()
    measured = measure(
        _counted(population(settings.nets, settings.seed), counter, settings.nets, say),
        programs,
        settings.seed,
        mistakes=settings.mistakes,
        out_of_time=until(0.95),
    )
    say("updates")
    measure_updates(settings.updates, programs, settings.seed, measured, out_of_time=until(1.0))
    done = next(counter)
    if until(0.95)() and done >= 1:
        done -= 1  # the one at which time was up
    if done < settings.nets:
        cut.append(f"{done:,} of {settings.nets:,} nets.")
    return Calibration(
        command=settings.command,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions={
            "Python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "machine": f"{platform.system()} {platform.machine()}",
        },
        planned=settings.nets,
        done=done,
        measured=measured,
        bugs=bugs,
        kinks=kinks,
        kink_alarms=kink_alarms,
        costs=costs,
        cut_short=cut,
    )


def _counted(
    nets: Iterator[Net], counter: itertools.count[int], planned: int, say: Callable[[str], None]
) -> Iterator[Net]:
    for net in nets:
        number = next(counter)
        if number % 12 == 0:
            say(f"net {number:,} of {planned:,}")
        yield net


def write_alarms(alarms: Sequence[Alarm], folder: Path) -> None:
    """Each false alarm's case as a case file, named by program and case."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in alarms:
        (folder / f"{one.program}-{one.case.id}.json").write_bytes(one.case.to_json())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when there were false alarms."""
    usual = Settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", type=int, default=usual.nets, help=f"how many, up to {NETS_AT_MOST:,}")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--minutes", type=float, default=usual.minutes, help="stop after so many")
    parser.add_argument("--output", type=Path, default=Path("docs/calibration.md"))
    parser.add_argument("--alarms", type=Path, help="where to write the cases of false alarms")
    given = parser.parse_args(arguments)
    if not 1 <= given.nets <= NETS_AT_MOST:
        parser.error(f"--nets needs a number from 1 to {NETS_AT_MOST:,}, got {given.nets}")
    settings = Settings(nets=given.nets, seed=given.seed, minutes=given.minutes)
    programs = [implementation(name) for name in ("numpy", "torch", "jax")]
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", file=sys.stderr, flush=True)

    found = calibrate(settings, programs, say)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(page(found), encoding="utf-8")
    if given.alarms is not None:
        write_alarms(found.alarms, given.alarms)
    say(f"{given.output}: {len(found.alarms)} false alarms")
    return 1 if found.alarms else 0


if __name__ == "__main__":
    sys.exit(main())
