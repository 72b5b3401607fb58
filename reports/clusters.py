"""Distinct bugs: the findings of a run, gathered by where they are, whose they are, and what they are.

A campaign that meets one mistake meets it hundreds of times. What is alike in them is the place (the operation, and
whether it shows in a value, a gradient, a parameter or an optimizer's state), the implementations to blame, and the
diagnosis (the verdict; of a crash, the name of the error). The smallest case stands for them all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.campaign.records import AGAINST, AGREEING, CaseRecord, Finding, Verdict
from reports.wording import PLACE, largest, listing, severity

KINDS = {"value": "a value", "grad": "a gradient", "param": "an updated parameter"}
_ERROR = re.compile(r"\b[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True)
class Key:
    """What the findings of one bug have in common. `op` is empty where no operation is named."""

    verdict: Verdict
    op: str
    shows: str
    who: tuple[str, ...]
    error: str

    @property
    def anchor(self) -> str:
        """A link that stays the same from run to run."""
        parts = "\x1f".join((self.verdict, self.op, self.shows, *self.who, "", self.error))
        return f"bug-{hashlib.blake2b(parts.encode('utf-8', 'replace'), digest_size=5).hexdigest()}"

    @property
    def what(self) -> str:
        """Where it is, in a few words."""
        return self.op or self.error or self.shows or "no operation is named"


@dataclass
class Cluster:
    """One bug. `members` are positions among the cases, `worst` the largest error / bound in them."""

    key: Key
    members: list[int] = field(default_factory=list)
    worst: float = 0.0
    smallest: int = -1
    numbers: int = 0
    example: Finding | None = None
    """The finding of the smallest case."""


def clusters(cases: Sequence[CaseRecord]) -> list[Cluster]:
    """The bugs of a run, the gravest first; of equals, that with the most cases."""
    found: dict[Key, Cluster] = {}
    for position, case in enumerate(cases):
        if case.verdict in AGREEING:
            continue
        for key, findings in _keys(case):
            one = found.setdefault(key, Cluster(key))
            one.members.append(position)
            one.worst = largest([one.worst, *(finding.worst_ratio for finding in findings)])
            size = _size(case)
            if one.example is None or size < _size(cases[one.smallest]):
                one.smallest, one.numbers, one.example = position, size[1], findings[0]
    ordered = sorted(found.values(), key=lambda one: (severity(one.key.verdict), len(one.members)), reverse=True)
    return _apart(ordered)


def size_of(case: CaseRecord) -> int:
    """How large a case is: the numbers that were judged in it; 0 where that is not known."""
    return max((finding.numbers for finding in case.findings), default=0)


def _size(case: CaseRecord) -> tuple[bool, int, bool]:
    """What cases are ordered by: an unknown size comes last, and of equals, that whose numbers are at hand first."""
    numbers = size_of(case)
    return not numbers, numbers, case.abridged


def _keys(case: CaseRecord) -> Iterator[tuple[Key, list[Finding]]]:
    """The bugs that one case shows, with the findings on all implementations that have them."""
    alike: dict[tuple[Verdict, str, str, str], list[Finding]] = {}
    for finding in case.findings:
        if finding.verdict in AGAINST:
            error = ""
            if finding.verdict == "crash":
                named = _ERROR.search(f"{finding.sentence} {finding.detail}")
                error = named[0] if named else "an error"
            alike.setdefault((finding.verdict, finding.op, shows_in(finding.place), error), []).append(finding)
    for (verdict, op, shows, error), findings in alike.items():
        who = tuple(dict.fromkeys(finding.implementation for finding in findings))
        yield Key(verdict, op, shows, who, error), findings


def shows_in(place: str) -> str:
    """What kind of number a finding's place is; the names in it differ from case to case.

    >>> shows_in("grad W1 at step 0"), shows_in("state m of W1 at step 3"), shows_in("")
    ('a gradient', "an optimizer's m", '')
    """
    found = PLACE.fullmatch(place)
    if not found:
        return place
    return KINDS.get(found["kind"] or "", f"an optimizer's {found['slot']}")


def _apart(found: list[Cluster]) -> list[Cluster]:
    """Those of different links; a link that two share, by chance of the hash, is given to the first."""
    taken: dict[str, Cluster] = {}
    for one in found:
        taken.setdefault(one.key.anchor, one)
    return list(taken.values())


def sentence_of(key: Key, cases: int) -> str:
    """A bug in a sentence."""
    who = listing(list(key.who))
    many = len(key.who) > 1
    where = f" in {key.op}" if key.op else ""
    shows = f", first in {key.shows}" if key.shows else ""
    verbs: dict[Verdict, tuple[str, str]] = {
        "mismatch": ("is wrong", "are wrong"),
        "non-finite": ("has NaN or infinity", "have NaN or infinity"),
        "crash": (f"raises {key.error}", f"raise {key.error}"),
        "suspicious": ("is further off than rounding is likely to be", "are further off than rounding is likely to be"),
    }
    verb = verbs[key.verdict][many]
    return f"{who} {verb}{where}{shows}: {cases:,} {'case' if cases == 1 else 'cases'}."
