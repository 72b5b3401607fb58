"""What became of a stored case when it is run again: fixed, still failing, changed, or the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.campaign.records import CaseRecord, Finding, Verdict, as_float

Outcome = Literal["FIXED", "STILL FAILS", "CHANGED", "SAME"]

FAILS: tuple[Verdict, ...] = ("mismatch", "non-finite", "crash", "suspicious", "undecided", "ill-conditioned")
"""The verdicts for which a run does not exit with 0."""

_GRAVITY: tuple[Outcome, ...] = ("SAME", "FIXED", "STILL FAILS", "CHANGED")
_NEVER_AT_FAULT = "passes"


@dataclass(frozen=True)
class Change:
    """One implementation then and now; a finding is None where it did not run."""

    implementation: str
    outcome: Outcome
    before: Finding | None
    after: Finding | None

    @property
    def sentence(self) -> str:
        """What there was, what there is, and the largest error / bound of each."""
        if self.after is None:
            return f"{self.implementation} was not run again"
        if self.before is None:
            return f"{self.implementation}, not run then, now {_said(self.after)}"
        before, after = _said(self.before), _said(self.after)
        if self.outcome == "SAME":
            return f"{self.implementation} {after}"
        if self.outcome == "STILL FAILS":
            return f"{self.implementation} still {after}, {_times(self.before)} then"
        return f"{self.implementation} now {after}; then: {before}"


@dataclass(frozen=True)
class Replay:
    """The outcome of a case, the gravest of its implementations' outcomes, and how each came to it."""

    outcome: Outcome
    changes: tuple[Change, ...]

    @property
    def sentence(self) -> str:
        """What changed, and what did not where nothing did."""
        told = [change for change in self.changes if change.outcome != "SAME" or change.after is None]
        return "; ".join(change.sentence for change in told or self.changes) + "."


def replay(stored: CaseRecord, fresh: CaseRecord) -> Replay:
    """Compare a stored record with one of the same case, run again.

    Per implementation: STILL FAILS has the verdict and the place that it had; FIXED was at fault and passes now; SAME
    was not at fault and still has the verdict that it had; whatever else is CHANGED. An implementation that was not
    run again has nothing to compare, and is only mentioned.
    """
    then, now = _by_name(stored), _by_name(fresh)
    return _of([_change(name, then.get(name), now.get(name)) for name in dict.fromkeys((*then, *now))])


def replay_file(fresh: CaseRecord) -> Replay:
    """Judge a case file, a counterexample once, by what it gives now: FIXED where nothing fails, else STILL FAILS."""
    return _of(
        [
            Change(one.implementation, "STILL FAILS" if one.verdict in FAILS else "FIXED", one, one)
            for one in fresh.findings
        ]
    )


def _of(changes: list[Change]) -> Replay:
    return Replay(max((change.outcome for change in changes), key=_GRAVITY.index, default="SAME"), tuple(changes))


def _by_name(record: CaseRecord) -> Mapping[str, Finding]:
    return {finding.implementation: finding for finding in record.findings}


def _change(name: str, before: Finding | None, after: Finding | None) -> Change:
    return Change(name, _outcome(before, after), before, after)


def _outcome(before: Finding | None, after: Finding | None) -> Outcome:
    if after is None:
        return "SAME"
    if before is None:
        return "CHANGED" if after.verdict in FAILS else "SAME"
    was, stands = _class(before), _class(after)
    if was == stands:
        return "STILL FAILS" if before.verdict in FAILS else "SAME"
    return "FIXED" if before.verdict in FAILS and stands[0] == _NEVER_AT_FAULT else "CHANGED"


def _class(finding: Finding) -> tuple[str, str]:
    """Verdict and place at fault; for what passes, the place of its largest error says nothing."""
    if finding.verdict in ("exact", "rounding"):
        return _NEVER_AT_FAULT, ""
    return finding.verdict, finding.place


def _said(finding: Finding) -> str:
    if finding.verdict in ("exact", "rounding"):
        return f"passes with {_times(finding)}"
    where = f" in {finding.place}, {_times(finding)}" if finding.place else ""
    return f"has the verdict {finding.verdict}{where}"


def _times(finding: Finding) -> str:
    return f"{as_float(finding.worst_ratio):.3g} times the bound"
