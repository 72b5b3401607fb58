"""What several commands need: exit codes, reading cases, choosing implementations, writing files whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import CaseError, GradparityError

if TYPE_CHECKING:
    from harness.campaign.records import CaseRecord, RunRecord
    from harness.case import Case
    from harness.protocol import Implementation
    from harness.worked_example import WorkedCase, WorkedExample

EXIT_AGREE, EXIT_DISAGREE, EXIT_USAGE, EXIT_INTERNAL, EXIT_INCOMPLETE, EXIT_NOTHING = 0, 1, 2, 3, 4, 5
STOPPED = 128
"""A run that a signal stopped exits with this and the signal's number, as a shell would say it."""
UNDECIDED = {"undecided", "ill-conditioned"}
"""The verdicts that say nothing about an implementation."""


def exit_code(run: RunRecord, records: Sequence[CaseRecord]) -> int:
    """The exit code of a run: by its gravest verdict, and by whether it ran at all."""
    if not records:
        return EXIT_NOTHING
    code = exit_code_of(records)
    return EXIT_INCOMPLETE if code == EXIT_AGREE and (not run.finished or len(records) < run.planned) else code


def exit_code_of(records: Sequence[CaseRecord]) -> int:
    """The exit code by the verdicts alone.

    Chance draws cases that have no exact value, as 0 / 0 has none. A generated case that could not be decided is told
    in the report, and counts here only when none could.
    """
    findings = [finding for record in records for finding in record.findings]
    verdicts = {finding.verdict for finding in findings}
    if verdicts & {"mismatch", "non-finite"}:
        return EXIT_DISAGREE
    if any(finding.internal for finding in findings):
        return EXIT_INTERNAL
    open_ = [record.generated > 0 for record in records if {f.verdict for f in record.findings} & UNDECIDED]
    if verdicts & {"crash", "suspicious"} or not all(open_):
        return EXIT_INCOMPLETE
    return EXIT_INCOMPLETE if open_ and len(open_) == sum(record.generated > 0 for record in records) else EXIT_AGREE


def chosen_implementations(added: Sequence[str], without: Sequence[str]) -> list[Implementation]:
    """The installed implementations and those that are added, NumPy's first."""
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


def read_case(path: Path) -> Case:
    """A case file's case, checked against the cards."""
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


def as_worked(path: Path, case: Case) -> WorkedCase:
    """A case file's case under the file's name, where it has no title."""
    from dataclasses import replace

    from harness.worked_example import WorkedCase

    titled = case if case.title else replace(case, title=path.name)
    return WorkedCase(key=path.stem, title=titled.title, case=titled)


def choose_examples(wanted: Sequence[str]) -> list[WorkedExample]:
    """The worked examples of these names, KEY or KEY/CASE; all of them when none is named."""
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


def one_example(which: str) -> WorkedCase:
    """The worked example KEY/CASE."""
    found = [case for example in choose_examples((which,)) for case in example.cases]
    if len(found) != 1:
        raise GradparityError(f"{which} is {len(found)} cases: name one, as KEY/CASE; `gradparity list` has them")
    return found[0]


def find_case(which: str, case_id: str | None) -> WorkedCase:
    """A case by its file, by a worked example's KEY/CASE, or by a results.sqlite and the beginning of its id there."""
    from harness.worked_example import WorkedCase

    path = Path(which)
    if case_id is not None:
        case = stored_case(path, case_id)
        return WorkedCase(key=case.id, title=case.title, case=case)
    if not path.is_file():
        return one_example(which)
    if is_store(path):
        raise GradparityError(f"{path} holds many cases: add the id of one, or its beginning")
    return as_worked(path, read_case(path))


def stored_case(path: Path, case_id: str) -> Case:
    """A case out of a store, checked against the cards."""
    from harness.campaign.store import read_spec
    from harness.case import Case
    from harness.registry import installed_cards

    try:
        case = Case.from_json(read_spec(path, case_id))
        installed_cards().check(case)
    except CaseError as error:
        raise GradparityError(f"{path}, case {case_id}: {error}") from None
    return case


def is_store(path: Path) -> bool:
    """Whether a file holds results, and not a case."""
    try:
        with path.open("rb") as file:
            return file.read(15) == b"SQLite format 3"
    except OSError as error:
        raise GradparityError(f"{path} cannot be read: {error}") from None


def _numpy_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: ({"numpy": 0, "torch": 1, "jax": 2}.get(name, 3), names.index(name)))


def write_whole(path: Path, text: str) -> None:
    """Write a whole file or none of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise GradparityError(f"{path} cannot be written: {error}") from None
