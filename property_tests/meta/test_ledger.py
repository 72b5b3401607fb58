"""The ledger of checks: that it sees every kind of check, and complains of those that went one way only."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from property_tests import ledger
from property_tests.ledger import NOTE, all_checks, checks_of, complaints, main, read_notes

SOURCE = '''
def refuse(number: int) -> int:
    if number < 0:
        raise ValueError("below 0")
    if number > 5:
        number = 5
    return number

def is_even(number: int) -> bool:
    return number % 2 == 0
'''
REFUSAL, PREDICATE, BRANCH = "a.py refuse: number < 0", "a.py is_even: number % 2 == 0", "refuse: number > 5"
BOTH = {REFUSAL: {True, False}, PREDICATE: {True, False}}


def noted(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """What the checks of the source come to for these numbers."""
    seen: dict[str, set[bool]] = {}
    monkeypatch.setattr(
        builtins, NOTE, lambda name, outcome: seen.setdefault(name, set()).add(bool(outcome)) or outcome, raising=False
    )
    found: dict[str, object] = {}
    exec(compile(checks_of(SOURCE, "a.py")[0], "a.py", "exec"), found)  # noqa: S102 - the source above
    refuse, is_even = found["refuse"], found["is_even"]
    assert callable(refuse)
    assert callable(is_even)
    for number in numbers:
        assert is_even(number) == (number % 2 == 0)
        if number < 0:
            with pytest.raises(ValueError, match="below 0"):
                refuse(number)
        else:
            assert refuse(number) == min(number, 5)
    return seen


def test_checks_are_refusals_and_predicates_and_every_branch_of_the_judge() -> None:
    assert checks_of(SOURCE, "a.py")[1] == [REFUSAL, PREDICATE]
    in_judge = checks_of(SOURCE, "harness/judge/a.py")[1]
    assert [name.partition(" ")[2] for name in in_judge] == ["refuse: number < 0", BRANCH, "is_even: number % 2 == 0"]
    ours = all_checks()
    assert len(set(ours)) > 300
    assert any(name.startswith("harness/case.py") for name in ours)


def test_both_outcomes_are_noted_and_the_code_does_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    assert noted([-1, 1, 2, 9], monkeypatch) == BOTH
    assert noted([2, 4], monkeypatch) == {REFUSAL: {False}, PREDICATE: {True}}


@pytest.mark.parametrize(
    ("seen", "excuses", "says"),
    [
        (BOTH, {}, []),
        ({REFUSAL: {False}, PREDICATE: {True, False}}, {}, [f"always False: {REFUSAL}"]),
        ({REFUSAL: {False}, PREDICATE: {True, False}}, {REFUSAL: "why"}, []),
        ({PREDICATE: {True, False}}, {}, [f"never reached: {REFUSAL}"]),
        (BOTH, {REFUSAL: "why"}, [f"needs no excuse, both seen: {REFUSAL}"]),
        (BOTH, {"gone": "why"}, ["no such check: gone"]),
    ],
)
def test_what_went_one_way_is_told(
    seen: Mapping[str, set[bool]], excuses: dict[str, str], says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "ONE_SIDED", excuses)
    assert list(complaints([REFUSAL, PREDICATE], seen)) == says


def test_notes_of_several_processes_add_up_and_no_notes_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(str(tmp_path)) == 1
    assert "no checks were noted" in capsys.readouterr().out
    monkeypatch.setattr(ledger, "ONE_SIDED", {})
    monkeypatch.setattr(ledger, "all_checks", lambda: [REFUSAL])
    (tmp_path / "1.json").write_text(json.dumps({REFUSAL: [True]}))
    assert main(str(tmp_path)) == 1
    (tmp_path / "2.json").write_text(json.dumps({REFUSAL: [False]}))
    assert read_notes(tmp_path) == {REFUSAL: {True, False}}
    assert main(str(tmp_path)) == 0
