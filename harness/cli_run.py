"""The command `gradparity run`, the main job: worked examples, case files, generated cases, and the report on them."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from harness.cli_progress import Progress
from harness.cli_shared import (
    EXIT_INTERNAL,
    EXIT_NOTHING,
    STOPPED,
    as_worked,
    choose_examples,
    chosen_implementations,
    exit_code,
    read_case,
    write_whole,
)
from harness.errors import GradparityError

if TYPE_CHECKING:
    from harness.campaign.records import CaseRecord, RunRecord
    from harness.campaign.store import Store
    from harness.case import Case
    from harness.protocol import Implementation
    from harness.registry import Cards
    from harness.worked_example import WorkedCase, WorkedExample

CASES = 80
"""Generated cases in the main job: about as much time as the worked examples take, a minute on two cores."""


@dataclass(frozen=True)
class Work:
    """What a run has to do: the cases that are known, then as many as are generated."""

    known: Sequence[tuple[str, WorkedCase]]
    generated: int
    seed: int
    extreme: bool = False

    def cases(self, cards: Cards) -> Iterator[tuple[Case, WorkedCase | None, str, int]]:
        """Each case, its worked example and that one's key, and its number among the generated ones."""
        for key, worked in self.known:
            yield worked.case, worked, key, 0
        if self.generated:
            from harness.generate.stream import stream

            for number, case in enumerate(stream(cards, self.generated, self.seed, extreme=self.extreme), 1):
                yield case, None, "", number

    def __len__(self) -> int:
        return len(self.known) + self.generated


class Stopped(BaseException):
    """A signal came that ends the run."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@click.command()
@click.argument("cases", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--impl",
    "implementations",
    multiple=True,
    help="An implementation: an installed name, or your own as package.module:object. Yours is added to the "
    "installed ones. Repeatable.",
)
@click.option("--without", multiple=True, help="Leave out an installed implementation. Repeatable.")
@click.option("--example", "examples", multiple=True, help="Only this worked example, or KEY/CASE. Repeatable.")
@click.option("--no-examples", is_flag=True, help="Leave out the worked examples.")
@click.option(
    "--cases",
    "generated",
    type=click.IntRange(0),
    help=f"So many generated cases.  [default: {CASES}; 0 where files or examples are named]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which generated cases.")
@click.option(
    "--extreme",
    is_flag=True,
    help="Generated cases go to the edges: numbers that overflow or underflow, infinities and NaN, hyperparameters at "
    "the limits of what is legal. Correct programs pass, but more of the cases say nothing.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing while it runs.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("gradparity-report"),
    show_default=True,
    help="Where the results and the report go.",
)
def run(
    cases: tuple[Path, ...],
    implementations: tuple[str, ...],
    without: tuple[str, ...],
    examples: tuple[str, ...],
    no_examples: bool,
    generated: int | None,
    seed: int,
    extreme: bool,
    quiet: bool,
    out: Path,
) -> None:
    """Compare implementations: on the worked examples and on generated cases, or on the case files that are named.

    Writes results-TIME.sqlite, case by case, and report.html, says where, and exits by the verdict. Stopped by Ctrl-C
    or a signal, it reports on what is finished.
    """
    if examples and no_examples:
        raise click.UsageError("--example and --no-examples exclude each other")
    known = [("", as_worked(path, read_case(path))) for path in cases]
    chosen = choose_examples(examples) if examples or not (cases or no_examples) else []
    known += [(example.key, case) for example in chosen for case in example.cases]
    if generated is None:
        generated = 0 if cases or examples else CASES
    if extreme and not generated:
        raise click.UsageError("--extreme is about generated cases, and there are none: ask for some with --cases")
    work = Work(known, generated, seed, extreme)
    if not len(work):
        click.echo("Nothing to run.", err=True)
        sys.exit(EXIT_NOTHING)
    sys.exit(_run(work, chosen, chosen_implementations(implementations, without), out, quiet))


def report_on(store: Path) -> tuple[RunRecord, list[CaseRecord]]:
    """What a report shows of stored results."""
    from harness.campaign.store import abridge, read_cases, read_run

    return read_run(store), list(abridge(read_cases(store)))


def selected(store: Path) -> tuple[RunRecord, list[CaseRecord]]:
    """The same for people: every case, but the numbers only of those that have a page."""
    from harness.campaign.slim import read_run_slim
    from harness.registry import installed_report

    whole: Any = installed_report("selection")
    return read_run_slim(store, whole)


def _run(
    work: Work, examples: Sequence[WorkedExample], implementations: Sequence[Implementation], out: Path, quiet: bool
) -> int:
    from msgspec import structs

    from harness.campaign.card_texts import card_texts
    from harness.campaign.environment import describe
    from harness.campaign.records import ExampleRecord, RunRecord
    from harness.campaign.store import Store
    from harness.generate.counts import catalogue
    from harness.registry import installed_cards, installed_report

    cards = installed_cards()
    started = datetime.now(UTC)
    path = out / f"results-{started:%Y%m%dT%H%M%S.%f}.sqlite"
    described: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "implementations": [one.name for one in implementations],
        "environment": describe(implementations),
        "examples": [ExampleRecord(key=e.key, title=e.title, source=e.source, shows=e.shows) for e in examples],
        "planned": len(work),
        "generated": work.generated,
        "seed": work.seed,
        "extreme": work.extreme,
        "store": str(path),
        "catalogue": structs.replace(catalogue(cards), cards=card_texts(cards)),
    }
    stopped: Stopped | Exception | None = None
    with Store(path) as store:
        store.describe(RunRecord(**described))
        try:
            with stoppable(), Progress(len(work), quiet=quiet) as progress:
                _judge_all(work, cards, implementations, store, progress)
            store.describe(RunRecord(**described, finished=datetime.now(UTC).isoformat(timespec="seconds")))
        except GradparityError:
            raise
        except (Stopped, Exception) as reason:  # noqa: BLE001 - what is finished is reported on, whatever it was
            stopped = reason
    if isinstance(stopped, Exception):
        traceback.print_exception(stopped)
    if stopped and not quiet:
        why = stopped if isinstance(stopped, Stopped) else "an error in gradparity, or in a card"
        click.echo(f"Stopped by {why}; the report is on what is finished.", err=True)
    page = out / "report.html"
    complete, records = selected(path)
    write_whole(page, installed_report("html")(complete, records))
    click.echo(installed_report("terminal")(complete, records))
    click.echo(f"results: {path.resolve()}")
    click.echo(f"report: {page.resolve()}")
    if isinstance(stopped, Stopped):
        return STOPPED + stopped.number
    return EXIT_INTERNAL if stopped else exit_code(complete, records)


def _judge_all(
    work: Work, cards: Cards, implementations: Sequence[Implementation], store: Store, progress: Progress
) -> None:
    from harness.campaign.run import compare

    for case, worked, key, number in work.cases(cards):
        progress.begin(case.title)
        record = compare(case, implementations, cards, worked, key, number)
        store.add(record, case.to_json())
        progress.done(_needs_to_be_seen(record))


def _needs_to_be_seen(record: CaseRecord) -> str:
    """A line on a case in which something is wrong; empty where nothing is."""
    if record.verdict in ("mismatch", "non-finite", "crash", "suspicious"):
        return f"{record.verdict}: {record.title} (case {record.id})"
    if any(finding.internal for finding in record.findings):
        return f"an error in gradparity: {record.title} (case {record.id})"
    return ""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into `Stopped`; the second does what it would have done anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        restore()
        raise Stopped(number)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
