"""Running stored cases again: each outcome is seen, and the command exits by what there is now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.campaign.records import CaseRecord, Finding
from harness.campaign.replay import replay, replay_file
from harness.campaign.store import read_cases
from harness.cli import _Commands, run
from harness.cli_replay import replay as replay_command
from harness.cli_replay import reproduce as reproduce_command

MINE = """
from dataclasses import replace
from harness import implementation

class Mine:
    name = "mine"
    def run(self, case):
        trace = implementation("numpy").run(case)
        return replace(trace, quantities={k: change(k, v) for k, v in trace.quantities.items()})

def change(k, v):
    return CHANGED
"""
RIGHT, TWICE = "v", "v * 2 if k.kind == 'grad' else v"
ELSEWHERE, CRASH = "v * 2 if k.kind == 'value' else v", "1 / 0"
NUMPY_ALONE = ("--without", "torch", "--without", "jax")


def finding(verdict: str, place: str = "grad W at step 0", ratio: float = 812.0, name: str = "jax") -> Finding:
    return Finding(implementation=name, verdict=verdict, place=place, worst_ratio=ratio, sentence="...")  # type: ignore[arg-type]


def record(*findings: Finding) -> CaseRecord:
    return CaseRecord(
        id="0", title="", verdict="exact", headline="", dtype="float64", steps=0, findings=list(findings)
    )


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (finding("mismatch"), finding("rounding", "value y at step 0", 0.5), "FIXED"),
        (finding("crash", ""), finding("exact"), "FIXED"),
        (finding("mismatch"), finding("mismatch", ratio=3.0), "STILL FAILS"),
        (finding("crash", ""), finding("crash", ""), "STILL FAILS"),
        (finding("undecided"), finding("undecided"), "STILL FAILS"),
        (finding("mismatch"), finding("mismatch", "grad b at step 0"), "CHANGED"),
        (finding("mismatch"), finding("non-finite"), "CHANGED"),
        (finding("mismatch"), finding("convention"), "CHANGED"),
        (finding("rounding"), finding("mismatch"), "CHANGED"),
        (finding("rounding"), finding("undetermined branch"), "CHANGED"),
        (finding("undetermined branch"), finding("rounding"), "CHANGED"),
        (finding("rounding"), finding("exact", "value y at step 0", 0.0), "SAME"),
        (finding("undetermined branch"), finding("undetermined branch"), "SAME"),
        (finding("not implemented", ""), finding("not implemented", ""), "SAME"),
    ],
)
def test_verdict_and_place_are_compared(before: Finding, after: Finding, outcome: str) -> None:
    assert replay(record(before), record(after)).outcome == outcome


def test_the_gravest_outcome_is_the_cases_and_every_change_is_told() -> None:
    fine = finding("rounding", ratio=0.25, name="numpy")
    then = record(fine, finding("mismatch"), finding("mismatch", ratio=5.0, name="torch"))
    now = record(fine, finding("rounding", ratio=0.75), finding("mismatch", ratio=7.0, name="torch"))
    found = replay(then, now)
    assert found.outcome == "STILL FAILS"
    assert [change.outcome for change in found.changes] == ["SAME", "FIXED", "STILL FAILS"]
    assert found.sentence == (
        "jax now passes with 0.75 times the bound; then: has the verdict mismatch in grad W at step 0, 812 times the "
        "bound; torch still has the verdict mismatch in grad W at step 0, 7 times the bound, 5 times the bound then."
    )
    assert replay(now, now).outcome == "STILL FAILS"
    assert replay(record(fine), record(fine)).sentence == "numpy passes with 0.25 times the bound."


def test_an_implementation_that_comes_or_goes() -> None:
    numpy, gone = finding("rounding", name="numpy"), finding("mismatch", name="gone")
    found = replay(record(numpy, gone), record(numpy))
    assert (found.outcome, found.sentence) == ("SAME", "gone was not run again.")
    assert replay(record(numpy), record(numpy, gone)).outcome == "CHANGED"
    assert replay(record(numpy), record(numpy, finding("exact", name="new"))).outcome == "SAME"


def test_a_case_file_is_held_to_agreement() -> None:
    assert replay_file(record(finding("rounding"), finding("convention", name="torch"))).outcome == "FIXED"
    assert replay_file(record(finding("rounding"), finding("mismatch", name="torch"))).outcome == "STILL FAILS"


def invoke(*arguments: str | Path) -> Result:
    group = _Commands("gradparity", commands=[run, replay_command, reproduce_command])
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def mine(place: Path, changed: str, name: str) -> tuple[str, ...]:
    """The options that add an implementation of somebody's own; each version of it is a module of its own."""
    (place / f"{name}.py").write_text(MINE.replace("CHANGED", changed))
    return (*NUMPY_ALONE, "--impl", f"{name}:Mine")


def stored(place: Path, *options: str) -> Path:
    done = invoke("run", "--example", "scalar-net", *options)
    assert done.exit_code in (0, 1, 4), done.output
    (store,) = (place / "gradparity-report").glob("results-*.sqlite")
    return store


def test_a_bug_that_is_stored_is_followed_until_it_is_mended(place: Path) -> None:
    store = stored(place, *mine(place, TWICE, "first_version"))
    ids = [one.id for one in read_cases(store)]
    for name, changed, outcome, code in (
        ("same_version", TWICE, "STILL FAILS", 1),
        ("other_version", ELSEWHERE, "CHANGED", 1),
        ("broken_version", CRASH, "CHANGED", 4),
        ("mended_version", RIGHT, "FIXED", 0),
    ):
        done = invoke("replay", store, *mine(place, changed, name))
        assert done.exit_code == code, done.output
        lines = done.output.splitlines()
        assert [line[:11].strip() for line in lines] == [outcome] * len(ids)
        assert [line[12:28] for line in lines] == ids
        assert "mine" in lines[0]
    gone = invoke("replay", store, ids[0][:6], *NUMPY_ALONE)
    assert gone.exit_code == 0
    assert [line.split()[0] for line in gone.output.splitlines()] == ["SAME"]
    assert "mine was not run again" in gone.output


def test_a_case_file_is_fixed_or_still_fails(place: Path) -> None:
    store = stored(place, *NUMPY_ALONE)
    from harness.campaign.store import read_spec

    case_id = next(read_cases(store)).id
    (place / "found.json").write_bytes(read_spec(store, case_id))
    done = invoke("replay", "found.json", *NUMPY_ALONE)
    assert (done.exit_code, done.output.split()[0]) == (0, "FIXED")
    done = invoke("replay", "found.json", *mine(place, TWICE, "a_wrong_one"))
    assert (done.exit_code, done.output[:11]) == (1, "STILL FAILS")


def test_a_stored_case_becomes_a_script(place: Path) -> None:
    store = stored(place, *mine(place, TWICE, "told_of"))
    case_id = next(read_cases(store)).id
    done = invoke("reproduce", store, case_id[:8], *mine(place, TWICE, "told_again"))
    assert done.exit_code == 0, done.output
    assert "told_again:Mine, which this script cannot contain" in done.output
    absent = invoke("reproduce", store, case_id, *NUMPY_ALONE)
    assert "mine is not in the script: name it with --impl" in absent.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "0123"], "0123 is no file"),
        (["replay", "missing.sqlite"], "missing.sqlite is no file"),
        (["replay", "STORE", "ffffffffffffffff"], "has no case whose id begins with"),
        (["replay", "STORE", "missing.json"], "missing.json is no file"),
        (["replay", "text.json"], "text.json: $: JSON is malformed"),
        (["replay", "STORE", "--without", "nothing"], "no installed implementation has this name"),
        (["reproduce", "STORE"], "add the id of one"),
        (["reproduce", "STORE", "ffff"], "no cases whose id begins with"),
        (["reproduce", "text.json"], "text.json: $: JSON is malformed"),
        (["replay"], "Missing argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(place: Path, arguments: list[str], says: str) -> None:
    store = stored(place, *NUMPY_ALONE)
    (place / "text.json").write_text("no case")
    done = invoke(*(str(store) if one == "STORE" else one for one in arguments))
    assert done.exit_code == 2, done.output
    assert says in done.output
    assert "Traceback" not in done.output
