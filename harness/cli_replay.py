"""The commands `gradparity replay` and `gradparity reproduce`: run a stored case again, or write it as a script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli_shared import (
    EXIT_NOTHING,
    as_worked,
    chosen_implementations,
    exit_code_of,
    find_case,
    is_store,
    read_case,
    stored_case,
    write_whole,
)
from harness.errors import GradparityError, StoreError

if TYPE_CHECKING:
    from harness.campaign.records import CaseRecord
    from harness.case import Case

_IMPL = click.option("--impl", "implementations", multiple=True, help="As for `run`.")
_WITHOUT = click.option("--without", multiple=True, help="As for `run`.")


@click.command()
@click.argument("what", nargs=-1, required=True)
@_IMPL
@_WITHOUT
def replay(what: tuple[str, ...], implementations: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Run stored cases again: FIXED, STILL FAILS, CHANGED or SAME.

    WHAT is a results.sqlite, alone or followed by the ids of some of its cases (their beginnings will do), or case
    files. A case file holds no verdict to compare with: it is FIXED when nothing fails.
    """
    from harness.campaign.replay import replay as compare_records
    from harness.campaign.replay import replay_file
    from harness.campaign.run import compare
    from harness.campaign.script.numbers import plain
    from harness.registry import installed_cards

    work = list(_work(what))
    cards, made = installed_cards(), chosen_implementations(implementations, without)
    fresh: list[CaseRecord] = []
    for case, stored in work:
        record = compare(case, made, cards)
        found = replay_file(record) if stored is None else compare_records(stored, record)
        click.echo(f"{found.outcome:<11} {case.id}  {plain(case.title)}: {plain(found.sentence)}")
        fresh.append(record)
    if not fresh:
        click.echo("Nothing to run.", err=True)
    sys.exit(exit_code_of(fresh) if fresh else EXIT_NOTHING)


@click.command()
@click.argument("which")
@click.argument("case_id", required=False)
@_IMPL
@_WITHOUT
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: stdout]")
def reproduce(
    which: str,
    case_id: str | None,
    implementations: tuple[str, ...],
    without: tuple[str, ...],
    output: Path | None,
) -> None:
    """Write a standalone script that shows what is wrong with a case, and exits with 1 while it is.

    WHICH is a case file, a worked example's KEY/CASE, or a results.sqlite followed by the beginning of a case's id.
    """
    from harness.campaign.reproducer import reproduce as write
    from harness.registry import installed_cards

    case = find_case(which, case_id).case
    made = chosen_implementations(implementations, without)
    for name in () if case_id is None else _names_then(Path(which), case.id):
        if name not in {one.name for one in made}:
            click.echo(f"{name} is not in the script: name it with --impl", err=True)
    text = write(case, installed_cards(), made)
    if output is None:
        click.echo(text, nl=False)
        return
    write_whole(output, text)
    click.echo(f"script: {output.resolve()}")


def _work(what: tuple[str, ...]) -> Iterator[tuple[Case, CaseRecord | None]]:
    """The cases to run, each with its stored record, where it has one."""
    from harness.campaign.store import read_cases

    stores = [Path(one) for one in what if Path(one).is_file() and is_store(Path(one))]
    files = [Path(one) for one in what if Path(one).is_file() and not is_store(Path(one))]
    ids = [one for one in what if not Path(one).is_file()]
    for one in ids:
        if not stores or "/" in one or "." in one:
            raise GradparityError(f"{one} is no file{'' if stores else '; an id needs its results.sqlite before it'}")
    unused = set(ids)
    for store in stores:
        for record in read_cases(store):
            matching = {one for one in ids if record.id.startswith(one)}
            unused -= matching
            if matching or not ids:
                yield stored_case(store, record.id), record
    if unused:
        raise StoreError(f"{', '.join(map(str, stores))} has no case whose id begins with {min(unused)!r}")
    for file in files:
        yield as_worked(file, read_case(file)).case, None


def _names_then(path: Path, case_id: str) -> list[str]:
    """The implementations that a stored case was judged in."""
    from harness.campaign.store import read_cases

    return [one.implementation for record in read_cases(path) if record.id == case_id for one in record.findings]
