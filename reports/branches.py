"""Undetermined branches in words, for the page and the terminal."""

from __future__ import annotations

from harness.campaign.records import CaseRecord, Finding, KinkRecord, Side

_ASKED = {
    "greater": "is it above the kink?",
    "greater_equal": "is it at or above the kink?",
    "less": "is it below the kink?",
    "less_equal": "is it at or below the kink?",
    "equal": "is it equal?",
    "maximum": "which is larger?",
    "minimum": "which is smaller?",
}
_TOOK = {
    ("relu", "above"): "above: alive, the gradient passes",
    ("relu", "at or below"): "at or below: dead, the gradient is 0",
}
"""What is more telling than a record's own word for a branch, by operation."""


def asked(kink: KinkRecord) -> str:
    """What the program asks there; empty for a comparison that no release knows."""
    return _ASKED.get(kink.comparison, "")


def took(kink: KinkRecord, side: Side) -> str:
    """The branch that a side took, and what it means."""
    return _TOOK.get((kink.op, side.branch), side.branch)


def kink_index(kink: KinkRecord) -> str:
    """The element at which it lies, as a user would write it."""
    return f"[{', '.join(str(number) for number in kink.index)}]" if kink.index else ""


def together(kink: KinkRecord) -> list[tuple[list[str], str, str]]:
    """Who has which number there and took which branch: those who have the same in one.

    >>> sides = [Side(implementation=name, value="1e-17", branch="above") for name in ("torch", "jax")]
    >>> together(KinkRecord(step=0, node="h", op="abs", index=[], comparison="", gap="0", bound=1.0, sides=sides))
    [(['torch', 'jax'], '1e-17', 'above')]
    """
    who: dict[tuple[str, str], list[str]] = {}
    for side in kink.sides:
        who.setdefault((side.value, took(kink, side)), []).append(side.implementation)
    return [(names, value, branch) for (value, branch), names in who.items()]


def alike(case: CaseRecord) -> list[list[Finding]]:
    """The findings of a case, those in one that say the same of several implementations: the same kink and place."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for number, finding in enumerate(case.findings):
        shared = finding.verdict == "undetermined branch" and finding.place
        key = ("kink", finding.place, finding.op) if shared else ("one", str(number))
        groups.setdefault(key, []).append(finding)
    return list(groups.values())
