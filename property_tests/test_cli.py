"""The command line: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import Case
from harness.campaign.records import CaseRecord, Finding, RunRecord
from harness.campaign.store import read_cases, read_run
from harness.cli import exit_code, main

FOURTH = """
from harness import implementation
from dataclasses import replace
import numpy as np

class Doubled:
    name = "doubled"
    def run(self, case):
        trace = implementation("numpy").run(case)
        return replace(trace, quantities={k: v * 2 if k.kind == "grad" else v for k, v in trace.quantities.items()})

class Broken:
    name = "broken"
    def run(self, case):
        raise RuntimeError("on purpose")

not_one = 5
"""


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "fourth_column.py").write_text(FOURTH)
    monkeypatch.delitem(sys.modules, "fourth_column", raising=False)
    return tmp_path


def test_one_example_end_to_end(elsewhere: Path) -> None:
    result = invoke("run", "--example", "diagonal-flip/float64")
    assert result.exit_code == 0, result.output
    (store,) = (elsewhere / "gradparity-report").glob("results-*.sqlite")
    page = elsewhere / "gradparity-report" / "report.html"
    assert f"report: {page}" in result.output
    assert f"results: {store}" in result.output
    assert "undetermined branch" in result.output
    assert read_run(store).finished
    assert [record.verdict for record in read_cases(store)] == ["undetermined branch"]
    assert "undetermined branch" in page.read_text()


def test_an_exported_example_runs_like_the_example(elsewhere: Path) -> None:
    exported = invoke("export", "scalar-net/code")
    (elsewhere / "my_case.json").write_text(exported.output)
    assert invoke("run", "my_case.json", "--out", "mine").exit_code == 0
    (store,) = (elsewhere / "mine").glob("results-*.sqlite")
    (record,) = read_cases(store)
    assert record.id == Case.from_json(exported.output).id
    again = invoke("report", store, "-o", "again.html")
    assert again.exit_code == 0
    assert (elsewhere / "again.html").read_text() == (elsewhere / "mine" / "report.html").read_text()


def test_a_wrong_fourth_column_fails_the_run_and_is_named(elsewhere: Path) -> None:
    result = invoke("run", "--example", "scalar-net/code", "--impl", "fourth_column:Doubled", "--without", "jax")
    assert result.exit_code == 1
    assert "doubled disagrees with the exact value" in result.output


def test_a_crash_makes_the_run_incomplete(elsewhere: Path) -> None:
    result = invoke("run", "--example", "scalar-net/code", "--impl", "fourth_column:Broken", "--without", "jax")
    assert result.exit_code == 4
    assert "on purpose" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "missing.json"], "does not exist"),
        (["run", "fourth_column.py"], "fourth_column.py: $: JSON is malformed"),
        (["run", "--example", "nothing"], "no worked example is called 'nothing'"),
        (["run", "--example", "scalar-net", "--impl", "nothing"], "no implementation is called 'nothing'"),
        (["run", "--example", "scalar-net", "--impl", "fourth_column:Nothing"], "cannot be loaded"),
        (["run", "--example", "scalar-net", "--impl", "fourth_column:not_one"], "needs a `name` and a `run(case)`"),
        (["run", "--example", "scalar-net", "--impl", "no_such_module:x"], "cannot be imported"),
        (["run", "--example", "scalar-net", "--without", "nothing"], "no installed implementation has this name"),
        (["run", "--example", "scalar-net", "--impl", "reference_impls.numpy_impl:NumpyImplementation"], "share a na"),
        (["run", "--example", "scalar-net", "--out", "fourth_column.py/below"], "cannot be written"),
        (["report", "missing.sqlite"], "does not exist"),
        (["export", "diagonal-flip"], "name one, as KEY/CASE"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(elsewhere: Path, arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output


def test_nothing_to_run_is_exit_code_5(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.registry.installed_examples", list)
    assert invoke("run").exit_code == 5


def test_list_names_examples_cards_and_implementations() -> None:
    output = invoke("list").output
    for name in ("diagonal-flip/float64", "dense:", "squared_error:", "l2_penalty:", "adam:", "torch:"):
        assert name in output


def a_run(verdict: str, *, finished: bool = True, planned: int = 1) -> tuple[RunRecord, list[CaseRecord]]:
    finding = Finding(implementation="numpy", verdict=verdict, sentence="...")  # type: ignore[arg-type]
    case = CaseRecord(id="0", title="", verdict=verdict, headline="", dtype="float64", steps=0, findings=[finding])  # type: ignore[arg-type]
    return RunRecord(started="now", finished="then" if finished else "", planned=planned), [case]


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (a_run("exact"), 0),
        (a_run("rounding"), 0),
        (a_run("undetermined branch"), 0),
        (a_run("not implemented"), 0),
        (a_run("mismatch"), 1),
        (a_run("non-finite"), 1),
        (a_run("crash"), 4),
        (a_run("undecided"), 4),
        (a_run("exact", finished=False), 4),
        (a_run("exact", planned=2), 4),
        ((a_run("exact")[0], []), 5),
    ],
)
def test_the_exit_code_is_the_verdict(run: tuple[RunRecord, list[CaseRecord]], code: int) -> None:
    assert exit_code(*run) == code


def test_a_case_that_does_not_fit_is_refused_before_anything_runs(elsewhere: Path) -> None:
    text = invoke("export", "scalar-net/code").output.replace('"sigmoid"', '"sigmoidal"')
    (elsewhere / "wrong.json").write_text(text)
    result = invoke("run", "wrong.json")
    assert result.exit_code == 2
    assert "wrong.json: $.network.nodes" in result.output
    assert "no card is called 'sigmoidal'" in result.output
    assert not (elsewhere / "gradparity-report").exists()



def test_explain_tells_everything_in_25_lines_and_exits_by_the_verdict(elsewhere: Path) -> None:
    kink = invoke("explain", "diagonal-flip/float64")
    assert kink.exit_code == 0
    assert len(kink.output.splitlines()) <= 25
    assert "An undetermined branch, not a bug." in kink.output
    wrong = invoke("explain", "scalar-net/code", "--impl", "fourth_column:Doubled", "--without", "jax")
    assert wrong.exit_code == 1
    assert len(wrong.output.splitlines()) <= 25
    assert "doubled disagrees with the exact value" in wrong.output
