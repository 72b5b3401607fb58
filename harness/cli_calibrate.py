"""The command `gradparity calibrate`: measure the elementary functions and keep what was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.judge.calibration import Calibration, Excess

EXIT_AGREE, EXIT_DISAGREE, EXIT_NOTHING = 0, 1, 5
"""As of `gradparity run`: something disagrees where a function is looser than its budget."""


@click.command()
@click.option(
    "--impl",
    "named",
    multiple=True,
    help="An implementation: an installed name, or your own as package.module:object. Yours is added to the "
    "installed ones. Repeatable.",
)
@click.option("--without", multiple=True, help="Leave out an installed implementation. Repeatable.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the calibration is written.  [default: gradparity/calibration.json in $XDG_CACHE_HOME or ~/.cache, "
    "where later runs look for it]",
)
def calibrate(named: tuple[str, ...], without: tuple[str, ...], output: Path | None) -> None:
    """Measure how exact exp, log, tanh and their like are here, in each implementation.

    Takes a few seconds. Prints the worst error of each function, in units of u, beside the budget that the rounding
    bounds give it. Exits with 1 when one is over its budget.
    """
    from harness.errors import GradparityError
    from harness.judge.calibration import calibrate as measure
    from harness.judge.calibration import default_path, judge_calibration, load_budgets
    from harness.registry import implementation, installed_implementations

    installed = list(installed_implementations())
    unknown = set(without) - set(installed)
    if unknown:
        raise GradparityError(f"--without {min(unknown)}: no installed implementation has this name")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - so that --impl finds modules beside the user
    names = dict.fromkeys([*(name for name in installed if name not in without), *named])
    found = measure([implementation(name) for name in names])
    if not found.rows:
        click.echo("Nothing to calibrate: no implementation offers `elementary()`.", err=True)
        sys.exit(EXIT_NOTHING)
    path = default_path() if output is None else output
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(found.to_json())
        part.replace(path)
    except OSError as error:
        raise GradparityError(f"{path} cannot be written: {error}") from None
    load_budgets.cache_clear()
    divergences, gaps = judge_calibration(found)
    click.echo(table(found))
    for excess in divergences:
        click.echo(f"divergence of {excess.implementations[0]}: {describe(excess)}")
    for excess in gaps:
        click.echo(f"gap in the model: {describe(excess)}")
    click.echo(f"calibration: {path.resolve()}")
    sys.exit(EXIT_DISAGREE if divergences or gaps else EXIT_AGREE)


def table(calibration: Calibration, budgets: Mapping[str, float] | None = None) -> str:
    """Functions by implementations: the worst error in units of u, and the budget; ``!`` marks what is over it."""
    from harness.arrays.error_model import BUDGETS
    from harness.judge.calibration import budget_of

    names = list(dict.fromkeys(row.implementation for row in calibration.rows))
    widths = [max(8, len(name) + 1) for name in names]
    rows = {(row.function, row.dtype, row.implementation): row for row in calibration.rows}
    heads = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [f"{'worst error, in u':<20}{heads}{'budget':>9}"]
    for function, dtype in dict.fromkeys((row.function, row.dtype) for row in calibration.rows):
        budget = budget_of(function, BUDGETS if budgets is None else budgets)
        cells = []
        for name, width in zip(names, widths, strict=True):
            row = rows.get((function, dtype, name))
            mark = "" if row is None else "!" if row.worst > budget else " "
            cells.append(f"{'-' if row is None else f'{row.worst:.2f}{mark}':>{width}}")
        lines.append(f"{function:<12}{dtype:<8}{''.join(cells)}{budget:>8g}")
    said = ", ".join(f"{package} {version}" for package, version in calibration.versions.items())
    return "\n".join([*lines, f"{calibration.date}, {calibration.machine}; {said}"])


def describe(excess: Excess) -> str:
    """One sentence about what is over a budget.

    >>> from harness.judge.calibration import Excess, Row
    >>> describe(Excess("exp", 4.0, (Row("exp", "float32", "mine", 40.25, (0.5,), 10),)))
    'exp needs 40.25 u in float32 (mine, at 0.5), the budget is 4 u'
    """
    needs = ", ".join(
        f"{row.worst:.2f} u in {row.dtype} ({row.implementation}, at {', '.join(map(repr, row.at))})"
        for row in excess.rows
    )
    return f"{excess.function} needs {needs}, the budget is {excess.budget:g} u"
