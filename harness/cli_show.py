"""The command `gradparity show`: one stored case, as it was judged then."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli_shared import write_whole


@click.command()
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("case_id")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a report on this case alone as well."
)
def show(store: Path, case_id: str, page: Path | None) -> None:
    """Tell everything about one stored case, as it was judged in its run; nothing is computed again.

    STORE is a results.sqlite, CASE_ID the beginning of a case's id there. A report on many cases has a page only for
    those that tell most; this opens any of the others. Needs neither torch nor jax.
    """
    from msgspec.structs import replace

    from harness.campaign.store import read_case, read_run
    from harness.registry import installed_report

    case = read_case(store, case_id)
    click.echo(installed_report("explain")(case), nl=False)
    click.echo("")
    if page is not None:
        # One case of a run says nothing of what the run has tested or left out.
        described = replace(read_run(store), planned=1, generated=0, catalogue=None, examples=[], store=str(store))
        write_whole(page, installed_report("html")(described, [case]))
        click.echo(f"report: {page.resolve()}")
