"""The command line. What a command needs is imported inside it, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import click

from harness.cli_calibrate import calibrate
from harness.cli_check import check
from harness.cli_compare import compare
from harness.cli_replay import replay, reproduce
from harness.cli_run import report_on, run, selected
from harness.cli_shared import EXIT_INTERNAL, EXIT_USAGE, chosen_implementations, exit_code_of, find_case, write_whole
from harness.cli_show import show
from harness.cli_shrink import shrink
from harness.errors import GradparityError

FORMATS = ("text", "json", "junit", "markdown", "github", "sarif")
"""What a report may be besides a page."""


class _Commands(click.Group):
    """Turns our own errors into one line and exit code 2, and what nobody expected into exit code 3."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GradparityError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(EXIT_USAGE)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception:  # noqa: BLE001 - its traceback is what can be said of it
            traceback.print_exc()
            context.exit(EXIT_INTERNAL)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all agree; 1 something disagrees; 2 wrong usage or a malformed file; 3 an error in "
    "gradparity itself; 4 no disagreement found, but something crashed or could not be decided; 5 nothing ran; "
    "130 and 143 stopped by Ctrl-C or a signal.",
)
@click.version_option(package_name="gradparity")
def main() -> None:
    """Do these implementations of the same network produce the same gradients and the same updates?

    And if not: where first, by how much, whose fault, and is it rounding, a kink, a convention or a bug?
    """


@main.command()
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format", "-f", "form", type=click.Choice(("html", *FORMATS)), default="html", show_default=True,
    help="html for people; the others for programs: on standard output, unless --output names a file.",
)  # fmt: skip
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="[default: report.html]")
def report(store: Path, form: str, output: Path | None) -> None:
    """Write a report of stored results, for people or for programs. Needs neither torch nor jax."""
    from harness.registry import installed_report

    if form != "html":
        described, records = report_on(store)
        text = installed_report(form)(described, records)
        if output is None:
            click.echo(text, nl=False)
        else:
            write_whole(output, text)
        return
    described, records = selected(store)
    output = output or Path("report.html")
    write_whole(output, installed_report("html")(described, records))
    click.echo(installed_report("terminal")(described, records))
    click.echo(f"report: {output.resolve()}")


@main.command()
@click.argument("which")
@click.argument("case_id", required=False)
@click.option("--impl", "implementations", multiple=True, help="As for `run`.")
@click.option("--without", multiple=True, help="As for `run`.")
def explain(which: str, case_id: str | None, implementations: tuple[str, ...], without: tuple[str, ...]) -> None:
    """Judge one case and tell everything about it in 25 lines.

    WHICH is a case file, a worked example's KEY/CASE, or a results.sqlite followed by the beginning of a case's id.
    """
    from harness.campaign.run import compare
    from harness.registry import installed_report

    worked = find_case(which, case_id)
    record = compare(worked.case, chosen_implementations(implementations, without), worked=worked)
    click.echo(installed_report("explain")(record))
    sys.exit(exit_code_of([record]))


@main.command()
@click.argument("which")
@click.argument("case_id", required=False)
def export(which: str, case_id: str | None) -> None:
    """Print a case file: of a worked example (KEY/CASE, see `list`), or of a case in a results.sqlite, by its id.

    A start for your own, and a way to keep a generated case.
    """
    import msgspec

    click.echo(msgspec.json.format(find_case(which, case_id).case.to_json(), indent=2).decode())


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
main.add_command(compare)
main.add_command(check)
main.add_command(replay)
main.add_command(reproduce)
main.add_command(run)
main.add_command(show)
main.add_command(shrink)
