"""What is taken out of a report to be pasted elsewhere: a test that holds a case right, and the text of an issue."""

from __future__ import annotations

import re
import shlex

from harness.campaign.records import CaseRecord, RunRecord
from reports.verdict_view import Note
from reports.wording import WRONG, ratio_text, training_text

_VERSION = re.compile(r"\d+(\.\d+)+\S*")
_CODE_OR_MARKUP = re.compile(r"`[^`|]*`|[\\`*_<>#\[\]|]")
_TEST = '''\
# The case file: {export} > {file}
from pathlib import Path

from harness import Case, compare, implementation


def test_case_{id}():
    case = Case.from_json(Path("{file}").read_bytes())
    # An implementation of your own is named "package.module:object".
    record = compare(case, [implementation(name) for name in {names!r}])
    assert record.verdict not in {wrong!r}, record.headline
'''


def texts_to_copy(case: CaseRecord, run: RunRecord) -> tuple[Note, ...]:
    """A pytest test and the text of an issue, for a stored case in which something is wrong; else nothing."""
    if case.verdict not in WRONG or not run.store:
        return ()
    return (Note("as a pytest test", _test(case, run)), Note("as the text of an issue", _issue(case, run)))


def _test(case: CaseRecord, run: RunRecord) -> str:
    key = re.sub(r"\W", "_", case.id)[:16]
    export = f"gradparity export {shlex.quote(run.store)} {shlex.quote(case.id)}"
    names = tuple(finding.implementation for finding in case.findings)
    return _TEST.format(export=" ".join(export.split()), file=f"case_{key}.json", id=key, names=names, wrong=WRONG)


def _issue(case: CaseRecord, run: RunRecord) -> str:
    versions = [f"{name} {text}" for name, text in run.environment.items() if _VERSION.fullmatch(text)]
    rows = [
        ("network", case.title),
        ("numbers", case.dtype),
        ("training", training_text(case)),
        *((one.implementation, f"{one.verdict}, error / bound {ratio_text(one.worst_ratio)}") for one in case.findings),
        ("versions", ", ".join(versions)),
    ]
    said = [f"{one.sentence} {one.detail}".strip() for one in case.findings if one.verdict == case.verdict]
    where = f"{shlex.quote(run.store)} {shlex.quote(case.id)}"
    lines = [
        *(_line(one) for one in said or [case.headline]),
        "\n".join(["| | |", "|---|---|", *(f"| {_line(name)} | {_line(text)} |" for name, text in rows)]),
        "A script that shows it, with NumPy and the frameworks alone:",
        f"    gradparity reproduce {' '.join(where.split())} -o reproducer.py",
    ]
    return "\n\n".join(lines) + "\n"


def _line(text: str) -> str:
    """Text on one line, in which nothing is markup but code between backticks."""
    flat = " ".join(text.split())
    return _CODE_OR_MARKUP.sub(lambda found: found[0] if len(found[0]) > 1 else "\\" + found[0], flat)
