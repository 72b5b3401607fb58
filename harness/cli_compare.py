"""The command `gradparity compare`: two runs, before and after an upgrade."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli_run import report_on
from harness.cli_shared import EXIT_AGREE, EXIT_DISAGREE, EXIT_NOTHING, write_whole


@click.command()
@click.argument("old", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.argument("new", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page as well.")
def compare(old: Path, new: Path, as_json: bool, page: Path | None) -> None:
    """Hold two runs against each other: what is new, fixed or changed, and what is not comparable.

    OLD and NEW are the results files of two runs of the same cases, before and after an upgrade, say. Exits with 1 when
    something is wrong now that was not, with 5 when the runs have no case in common.
    """
    from harness.registry import installed_report

    found: Any = installed_report("comparison")(*report_on(old), *report_on(new))
    click.echo(installed_report("comparison-json" if as_json else "comparison-text")(found), nl=False)
    if page is not None:
        write_whole(page, installed_report("comparison-html")(found))
        click.echo(f"report: {page.resolve()}", err=as_json)
    if not sum(found.counts.values()):
        sys.exit(EXIT_NOTHING)
    sys.exit(EXIT_DISAGREE if found.broken else EXIT_AGREE)
