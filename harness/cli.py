"""The command line. What a command needs is imported inside it, so that ``--help`` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli_calibrate import calibrate
from harness.cli_check import check
from harness.cli_replay import replay, reproduce
from harness.errors import CaseError, GradparityError

if TYPE_CHECKING:
    from harness.campaign.records import CaseRecord, RunRecord
    from harness.case import Case
    from harness.protocol import Implementation
    from harness.worked_example import WorkedCase, WorkedExample

EXIT_AGREE, EXIT_DISAGREE, EXIT_USAGE, EXIT_INTERNAL, EXIT_INCOMPLETE, EXIT_NOTHING = 0, 1, 2, 3, 4, 5


class _Commands(click.Group):
    """Turns our own errors into one line and exit code 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GradparityError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(EXIT_USAGE)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all agree; 1 something disagrees; 2 wrong usage or a malformed file; 3 an error in "
    "gradparity itself; 4 no disagreement found, but something crashed or could not be decided; 5 nothing ran.",
)
@click.version_option(package_name="gradparity")
def main() -> None:
    """Do these implementations of the same network produce the same gradients and the same updates?

    And if not: where first, by how much, whose fault, and is it rounding, a kink, a convention or a bug?
    """


@main.command()
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
    out: Path,
) -> None:
    """Compare implementations on case files, or on the worked examples when no file is named.

    Writes results-TIME.sqlite and report.html, says where, and exits by the verdict.
    """
    work = [("", _as_worked(path, _read(path))) for path in cases]
    chosen = _choose_examples(examples) if examples or not cases else []
    work += [(example.key, case) for example in chosen for case in example.cases]
    if not work:
        click.echo("Nothing to run.", err=True)
        sys.exit(EXIT_NOTHING)
    sys.exit(_run(work, chosen, _implementations(implementations, without), out))


@main.command()
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), default=Path("report.html"))
def report(store: Path, output: Path) -> None:
    """Write the HTML report of stored results. Needs neither torch nor jax."""
    from harness.campaign.store import read_cases, read_run
    from harness.registry import installed_report

    described, records = read_run(store), list(read_cases(store))
    _write(output, installed_report("html")(described, records))
    click.echo(installed_report("terminal")(described, records))
    click.echo(f"report: {output.resolve()}")


@main.command()
@click.argument("which")
@click.option("--impl", "implementations", multiple=True, help="As for `run`.")
@click.option("--without", multiple=True, help="As for `run`.")
def explain(which: str, implementations: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Judge one case and tell everything about it in 25 lines. WHICH is a case file or a worked example, KEY/CASE."""
    from harness.campaign.run import compare
    from harness.registry import installed_report

    path = Path(which)
    worked = _as_worked(path, _read(path)) if path.is_file() else _one_example(which)
    record = compare(worked.case, _implementations(implementations, without), worked=worked)
    click.echo(installed_report("explain")(record))
    sys.exit(_exit_code_of([record]))


@main.command()
@click.argument("which")
def export(which: str) -> None:
    """Print the case file of a worked example (KEY/CASE, see `list`), as a start for your own."""
    import msgspec

    click.echo(msgspec.json.format(_one_example(which).case.to_json(), indent=2).decode())


@main.command("list")
def list_() -> None:
    """List the worked examples, the cards and the implementations that are installed."""
    from harness.registry import installed_cards, installed_examples, installed_implementations

    cards = installed_cards()
    click.echo("worked examples")
    for example in installed_examples():
        click.echo(f"  {example.key}: {example.title}")
        for case in example.cases:
            click.echo(f"    {example.key}/{case.key}: {case.title}")
    for kind in ("layer", "loss", "penalty"):
        click.echo(f"{kind} cards")
        for card in cards.operations.values():
            if card.kind == kind:
                click.echo(f"  {card.name}: {card.summary}")
    click.echo("optimizer cards")
    for optimizer in cards.optimizers.values():
        click.echo(f"  {optimizer.name}: {optimizer.summary}")
    click.echo("implementations")
    for name, entry in installed_implementations().items():
        click.echo(f"  {name}: {entry.value}")


main.add_command(calibrate)
main.add_command(check)
main.add_command(replay)
main.add_command(reproduce)


def _run(
    work: Sequence[tuple[str, WorkedCase]],
    examples: Sequence[WorkedExample],
    implementations: Sequence[Implementation],
    out: Path,
) -> int:
    from harness.campaign.environment import describe
    from harness.campaign.records import ExampleRecord, RunRecord
    from harness.campaign.run import compare
    from harness.campaign.store import Store
    from harness.registry import installed_cards, installed_report

    cards = installed_cards()
    started = datetime.now(UTC)
    described: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "implementations": [one.name for one in implementations],
        "environment": describe(implementations),
        "examples": [ExampleRecord(key=e.key, title=e.title, source=e.source, shows=e.shows) for e in examples],
        "planned": len(work),
    }
    records: list[CaseRecord] = []
    store_path = out / f"results-{started:%Y%m%dT%H%M%S.%f}.sqlite"
    with Store(store_path) as store:
        store.describe(RunRecord(**described))
        for number, (example, worked) in enumerate(work, 1):
            record = compare(worked.case, implementations, cards, worked, example)
            store.add(record, worked.case.to_json())
            records.append(record)
            click.echo(f"[{number:>3}/{len(work)}] {record.verdict:<19} {record.title}", err=True)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        complete = RunRecord(**described, finished=finished)
        store.describe(complete)
    page = out / "report.html"
    _write(page, installed_report("html")(complete, records))
    click.echo(installed_report("terminal")(complete, records))
    click.echo(f"results: {store_path.resolve()}")
    click.echo(f"report: {page.resolve()}")
    return exit_code(complete, records)


def exit_code(run: RunRecord, records: Sequence[CaseRecord]) -> int:
    """The exit code of a run: by its gravest verdict, and by whether it ran at all."""
    if not records:
        return EXIT_NOTHING
    code = _exit_code_of(records)
    return EXIT_INCOMPLETE if code == EXIT_AGREE and (not run.finished or len(records) < run.planned) else code


def _exit_code_of(records: Sequence[CaseRecord]) -> int:
    verdicts = {finding.verdict for record in records for finding in record.findings}
    if verdicts & {"mismatch", "non-finite"}:
        return EXIT_DISAGREE
    return EXIT_INCOMPLETE if verdicts & {"crash", "undecided", "ill-conditioned", "suspicious"} else EXIT_AGREE


def _implementations(added: Sequence[str], without: Sequence[str]) -> list[Implementation]:
    from harness.registry import implementation, installed_implementations

    installed = installed_implementations()
    unknown = set(without) - set(installed)
    if unknown:
        raise GradparityError(f"--without {min(unknown)}: no installed implementation has this name")
    names = [name for name in installed if name not in without]
    names += [name for name in added if name not in names]
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - so that --impl finds modules beside the user
    made = [implementation(name) for name in _numpy_first(names)]
    labels = [one.name for one in made]
    if len(set(labels)) != len(labels):
        raise GradparityError(f"two implementations share a name: {', '.join(labels)}; rename yours or use --without")
    return made


def _read(path: Path) -> Case:
    from harness.case import Case
    from harness.registry import installed_cards

    try:
        case = Case.from_json(path.read_bytes())
        installed_cards().check(case)
    except CaseError as error:
        raise GradparityError(f"{path}: {error}") from None
    except OSError as error:
        raise GradparityError(f"{path} cannot be read: {error}") from None
    return case


def _as_worked(path: Path, case: Case) -> WorkedCase:
    from dataclasses import replace

    from harness.worked_example import WorkedCase

    titled = case if case.title else replace(case, title=path.name)
    return WorkedCase(key=path.stem, title=titled.title, case=titled)


def _choose_examples(wanted: Sequence[str]) -> list[WorkedExample]:
    from dataclasses import replace

    from harness.registry import installed_examples

    examples: list[WorkedExample] = installed_examples()
    if not wanted:
        return examples
    chosen = []
    for example in examples:
        cases = tuple(
            case for case in example.cases if example.key in wanted or f"{example.key}/{case.key}" in wanted
        )
        if cases:
            chosen.append(replace(example, cases=cases))
    known = {example.key for example in examples} | {f"{e.key}/{case.key}" for e in examples for case in e.cases}
    for name in wanted:
        if name not in known:
            raise GradparityError(f"no worked example is called {name!r}; `gradparity list` has them")
    return chosen


def _one_example(which: str) -> WorkedCase:
    found = [case for example in _choose_examples((which,)) for case in example.cases]
    if len(found) != 1:
        raise GradparityError(f"{which} is {len(found)} cases: name one, as KEY/CASE; `gradparity list` has them")
    return found[0]


def _numpy_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: ({"numpy": 0, "torch": 1, "jax": 2}.get(name, 3), names.index(name)))


def _write(path: Path, text: str) -> None:
    """Write a whole file or none of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise GradparityError(f"{path} cannot be written: {error}") from None
