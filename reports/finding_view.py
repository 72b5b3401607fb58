"""The verdict on one implementation in one case, as it is shown on the page."""

from __future__ import annotations

from dataclasses import dataclass

from harness.campaign.records import AGREEING, CaseRecord, Finding
from reports.sharpness import sharpness_sentence
from reports.verdict_view import NOT_RECORDED, Badge, Prose, badge, percent, prose
from reports.wording import WRONG, ratio_text, severity, size_text


@dataclass(frozen=True)
class FindingView:
    """The verdict on one implementation."""

    implementation: str
    badge: Badge
    place_label: str
    place: str
    op: str
    ratio: str
    ulps: str
    bar: int
    sentence: Prose
    detail: Prose
    sharpness: str


def finding_view(case: CaseRecord, implementation: str) -> FindingView:
    """The gravest finding on an implementation; or that there is none."""
    finding = finding_of(case, implementation)
    if finding is None:
        nothing = prose("This implementation left no finding for this case.")
        return FindingView(implementation, NOT_RECORDED, "", "", "", "–", "–", 0, nothing, (), "")
    numberless = finding.verdict in ("crash", "not implemented", "undecided")
    return FindingView(
        implementation=implementation,
        badge=badge(finding.verdict),
        place_label="First at fault" if finding.verdict in WRONG else "First seen at",
        place="" if finding.verdict in AGREEING else finding.place,  # the sentence names it
        op=finding.op,
        ratio="–" if numberless else ratio_text(finding.worst_ratio),
        ulps="–" if numberless else size_text(finding.worst_ulps),
        bar=0 if numberless else percent(finding.worst_ratio),
        sentence=prose(finding.sentence),
        detail=prose(finding.detail),
        sharpness=sharpness_sentence(case, finding),
    )


def finding_of(case: CaseRecord, implementation: str) -> Finding | None:
    """The gravest finding on an implementation."""
    own = [finding for finding in case.findings if finding.implementation == implementation]
    return own[0] if len(own) == 1 else max(own, key=lambda finding: severity(finding.verdict), default=None)


def finding_badge(finding: Finding) -> Badge:
    """A finding as a verdict and the size of its error / bound."""
    return badge(finding.verdict, size_beside(finding))


def size_beside(finding: Finding) -> str:
    """The error / bound that stands beside a verdict; empty where it has none."""
    numberless = finding.verdict in ("crash", "not implemented", "undecided", "exact")
    return "" if numberless else ratio_text(finding.worst_ratio)
