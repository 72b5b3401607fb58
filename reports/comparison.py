"""Two runs of the same cases, before and after an upgrade: what is new, fixed, changed, and what cannot be compared.

Cases are the same when their content is: a case's id is the hash of it. For each implementation that both runs have,
the two verdicts are held against each other, then the errors, then the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from harness.campaign.records import CaseRecord, Finding, Record, RunRecord, as_float
from reports.terminal_lines import plain, wrapped

SCHEMA = "gradparity.comparison/1"

Kind = Literal["broken", "fixed", "changed verdict", "error grew", "error shrank", "other numbers", "same"]
KINDS: tuple[Kind, ...] = (
    "broken", "fixed", "changed verdict", "error grew", "error shrank", "other numbers", "same",
)  # fmt: skip
MEANING: Mapping[Kind, str] = {
    "broken": "right before, wrong now",
    "fixed": "wrong before, right now",
    "changed verdict": "another verdict, neither broken nor fixed",
    "error grew": "the same verdict, and an error at least twice as large, as a part of its bound",
    "error shrank": "the same verdict, and an error at most half as large",
    "other numbers": "the same verdict and about the same error, and not the same numbers",
    "same": "the same verdict and the same numbers, as far as they were recorded",
}
WRONG = ("mismatch", "non-finite", "crash")
RIGHT = ("exact", "rounding", "undetermined branch", "convention")
FACTOR = 2.0
"""An error that grew or shrank by less is not told: worst errors of rounding differ by as much from case to case."""
SHOWN = 12
"""Of each kind, so many changes are written out."""


class Change(Record, frozen=True, kw_only=True):
    """What became of one implementation in one case; the ratios are the worst |error| / bound."""

    kind: Kind
    case: str
    title: str
    implementation: str
    old_verdict: str
    new_verdict: str
    old_ratio: float | str
    new_ratio: float | str
    place: str = ""
    sentence: str = ""


class Comparison(Record, frozen=True, kw_only=True):
    """Two runs side by side.

    `environment` holds what differs, as old and new, "" for what one of them lacks. `incomparable` says what could not
    be compared, and why.
    """

    schema: str = SCHEMA
    old_started: str
    new_started: str
    environment: dict[str, tuple[str, str]]
    counts: dict[str, int]
    changes: list[Change]
    only_old: list[str]
    only_new: list[str]
    incomparable: list[str]

    @property
    def broken(self) -> int:
        """How much is wrong now that was not."""
        return self.counts.get("broken", 0)


def compare_runs(
    old_run: RunRecord, old: Sequence[CaseRecord], new_run: RunRecord, new: Sequence[CaseRecord]
) -> Comparison:
    """Hold two runs against each other; changes are ordered by kind, then by how much the error grew."""
    before, after = {case.id: case for case in old}, {case.id: case for case in new}
    shared = [name for name in old_run.implementations if name in new_run.implementations]
    changes = [
        change
        for key, case in after.items()
        if key in before
        for change in _changes(before[key], case, shared)
    ]
    told = [change for change in changes if change.kind != "same"]
    told.sort(key=lambda one: (KINDS.index(one.kind), -_growth(one)))
    return Comparison(
        old_started=old_run.started,
        new_started=new_run.started,
        environment=_differences(old_run.environment, new_run.environment),
        counts={kind: sum(change.kind == kind for change in changes) for kind in KINDS},
        changes=told,
        only_old=[key for key in before if key not in after],
        only_new=[key for key in after if key not in before],
        incomparable=_incomparable(old_run, new_run, before, after),
    )


def _changes(old: CaseRecord, new: CaseRecord, shared: Sequence[str]) -> list[Change]:
    before = {finding.implementation: finding for finding in old.findings}
    after = {finding.implementation: finding for finding in new.findings}
    return [
        Change(
            kind=_kind(before[name], after[name], same=_numbers(old, name) == _numbers(new, name)),
            case=new.id,
            title=new.title,
            implementation=name,
            old_verdict=before[name].verdict,
            new_verdict=after[name].verdict,
            old_ratio=before[name].worst_ratio,
            new_ratio=after[name].worst_ratio,
            place=after[name].place or before[name].place,
            sentence=after[name].sentence,
        )
        for name in shared
        if name in before and name in after
    ]


def _kind(old: Finding, new: Finding, *, same: bool) -> Kind:
    if new.verdict in WRONG and old.verdict not in WRONG:
        return "broken"
    if old.verdict in WRONG and new.verdict in RIGHT:
        return "fixed"
    if {old.verdict, new.verdict} > {"exact"} and {old.verdict, new.verdict} <= {"exact", "rounding"}:
        return "other numbers"
    if old.verdict != new.verdict:
        return "changed verdict"
    before, now = as_float(old.worst_ratio), as_float(new.worst_ratio)
    if now > FACTOR * before and not same:
        return "error grew"
    if before > FACTOR * now and not same:
        return "error shrank"
    return "same" if same else "other numbers"


def _numbers(case: CaseRecord, name: str) -> list[list[str]]:
    return [cell.values for quantity in case.quantities for cell in quantity.cells if cell.implementation == name]


def _growth(change: Change) -> float:
    before, now = as_float(change.old_ratio), as_float(change.new_ratio)
    return now / before if before > 0 else now


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    keys = dict.fromkeys([*old, *new])
    return {key: (old.get(key, ""), new.get(key, "")) for key in keys if old.get(key, "") != new.get(key, "")}


def _incomparable(
    old_run: RunRecord, new_run: RunRecord, before: Mapping[str, CaseRecord], after: Mapping[str, CaseRecord]
) -> list[str]:
    said = []
    for name in dict.fromkeys([*old_run.implementations, *new_run.implementations]):
        where = [which for which, run in (("old", old_run), ("new", new_run)) if name in run.implementations]
        if len(where) == 1:
            said.append(f"{name}: only the {where[0]} run has it")
    if not before.keys() & after.keys():
        said.append("no case is in both runs: draw the same ones, with the same --cases and --seed and the same cards")
    for which, run, cases in (("old", old_run, before), ("new", new_run, after)):
        if not run.finished:
            said.append(f"the {which} run was stopped after {len(cases):,} of {run.planned:,} cases")
    abridged = sum(before[key].abridged or case.abridged for key, case in after.items() if key in before)
    if abridged:
        said.append(f"the numbers of {abridged:,} cases: they were not kept, and only verdicts and errors are compared")
    return said


def as_text(found: Comparison) -> str:
    """For a terminal."""
    lines = [f"Old: {plain(found.old_started)}", f"New: {plain(found.new_started)}", ""]
    for key, (old, new) in found.environment.items():
        lines += wrapped(plain(f"{key}: {old or 'not there'} -> {new or 'not there'}"))
    lines += [""] if found.environment else ["The environments are the same.", ""]
    lines += [f"{found.counts.get(kind, 0):7,}  {kind}: {MEANING[kind]}" for kind in KINDS]
    lines += [f"{len(found.only_old):7,}  cases only in the old run", f"{len(found.only_new):7,}  only in the new one"]
    if found.incomparable:
        lines += ["", "Not comparable:"]
        lines += [line for one in found.incomparable for line in wrapped(plain(f"- {one}"))]
    for kind in KINDS:
        these = [change for change in found.changes if change.kind == kind]
        if not these:
            continue
        lines += ["", kind.capitalize()]
        lines += [line for change in these[:SHOWN] for line in wrapped(plain(f"- {_told(change)}"))]
        lines += [f"  and {len(these) - SHOWN:,} more"] if len(these) > SHOWN else []
    return "\n".join(lines) + "\n"


def _told(change: Change) -> str:
    verdicts = change.new_verdict
    if change.old_verdict != change.new_verdict:
        verdicts = f"{change.old_verdict} -> {change.new_verdict}"
    errors = f"{as_float(change.old_ratio):.3g} -> {as_float(change.new_ratio):.3g} of the bound"
    where = f" in {change.place}" if change.place else ""
    return f"{change.implementation}, {change.title} ({change.case}): {verdicts}, {errors}{where}"


def as_json(found: Comparison) -> str:
    """The same as JSON, by the schema named in it."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n"


__all__ = ["Change", "Comparison", "as_json", "as_text", "compare_runs"]
