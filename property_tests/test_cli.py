"""The command line: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import Case
from harness.campaign.records import CaseRecord, Finding, RunRecord
from harness.campaign.store import read_cases, read_run
from harness.cli import main
from harness.cli_run import CASES
from harness.cli_shared import exit_code

FOURTH = """
from harness import implementation
from dataclasses import replace
import os
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

class Signalled:
    name = "signalled"
    def __init__(self):
        self.ran = 0
    def run(self, case):
        self.ran += 1
        if self.ran == 3:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return implementation("numpy").run(case)

not_one = 5
"""
PLANTED = """
import reference_impls.numpy_impl
from harness.mutants import EXECUTOR_MUTANTS, mutated_module

MUTANT = next(one for one in EXECUTOR_MUTANTS if one.name == "last_contribution_wins")

class Planted(mutated_module(MUTANT, reference_impls.numpy_impl).NumpyImplementation):
    name = "planted"
"""
NUMPY_ALONE = ("--without", "torch", "--without", "jax")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, source in (("fourth_column", FOURTH), ("planted", PLANTED)):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
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
        (["run", "--example", "scalar-net", "--extreme"], "is about generated cases, and there are none"),
        (["report", "missing.sqlite"], "does not exist"),
        (["export", "diagonal-flip"], "name one, as KEY/CASE"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(elsewhere: Path, arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output


def test_nothing_to_run_is_exit_code_5(elsewhere: Path) -> None:
    assert invoke("run", "--no-examples", "--cases", "0").exit_code == 5


def the_store(folder: Path) -> Path:
    (store,) = folder.glob("results-*")
    return store


def test_a_planted_mistake_is_found_in_generated_cases_and_is_not_lost(elsewhere: Path) -> None:
    plant = ("--impl", "planted:Planted", *NUMPY_ALONE)
    result = invoke("run", "--no-examples", "--cases", 40, "--seed", 1, *plant)
    assert result.exit_code == 1, result.output
    store = the_store(elsewhere / "gradparity-report")
    records = list(read_cases(store))
    assert [record.generated for record in records] == list(range(1, 41))
    wrong = [record for record in records if record.verdict in ("mismatch", "non-finite")]
    assert wrong
    assert {f.implementation for one in wrong for f in one.findings if f.verdict == one.verdict} == {"planted"}
    first = wrong[0]
    assert f"{first.verdict}: {first.title} (case {first.id})" in result.stderr
    assert first.title.startswith(f"#{first.generated} ")
    named = f"gradparity replay gradparity-report/{store.name} "
    assert any(f"  {named}{record.id}\n" in result.stdout for record in wrong)
    assert f"{named}{first.id}" in (elsewhere / "gradparity-report" / "report.html").read_text()

    again = invoke("replay", store, first.id, *plant)
    assert again.exit_code == 1
    assert again.output.startswith("STILL FAILS")
    assert invoke("explain", store, first.id[:12], *plant).exit_code == 1
    (elsewhere / "kept.json").write_text(invoke("export", store, first.id).output)
    assert Case.from_json((elsewhere / "kept.json").read_bytes()).id == first.id
    assert invoke("run", "kept.json", *plant, "--out", "kept").exit_code == 1
    assert invoke("run", "kept.json", *NUMPY_ALONE, "--out", "right").exit_code == 0
    script = invoke("reproduce", store, first.id, *plant, "-o", "reproducer.py")
    assert script.exit_code == 0, script.output
    assert first.id in (elsewhere / "reproducer.py").read_text()


def test_the_same_seed_draws_the_same_cases_and_a_correct_implementation_passes_them(elsewhere: Path) -> None:
    for folder in ("once", "again"):
        result = invoke("run", "--no-examples", "--cases", 12, "--seed", 5, *NUMPY_ALONE, "--out", folder)
        assert result.exit_code == 0, result.output
    once, again = (list(read_cases(the_store(elsewhere / folder))) for folder in ("once", "again"))
    assert [case.id for case in once] == [case.id for case in again]
    assert [case.tested for case in once] == [case.tested for case in again]
    other = invoke("run", "--no-examples", "--cases", 12, "--seed", 6, *NUMPY_ALONE, "--out", "other", "--quiet")
    assert other.stderr == ""
    assert {case.id for case in read_cases(the_store(elsewhere / "other"))}.isdisjoint(case.id for case in once)


def test_generated_cases_come_after_what_is_named_and_only_where_they_are_asked_for(elsewhere: Path) -> None:
    example = ("--example", "scalar-net/code", *NUMPY_ALONE)
    assert invoke("run", *example, "--out", "alone").exit_code == 0
    assert len(list(read_cases(the_store(elsewhere / "alone")))) == 1
    assert invoke("run", *example, "--cases", 2, "--out", "with").exit_code == 0
    assert [case.generated for case in read_cases(the_store(elsewhere / "with"))] == [0, 1, 2]
    run = read_run(the_store(elsewhere / "with"))
    assert (run.planned, run.generated, run.seed) == (3, 2, 0)


def test_an_extreme_run_says_so(elsewhere: Path) -> None:
    result = invoke("run", "--no-examples", "--cases", 4, "--extreme", *NUMPY_ALONE)
    assert result.exit_code in (0, 4), result.output
    folder = elsewhere / "gradparity-report"
    assert read_run(the_store(folder)).extreme
    assert "the seed 0 and --extreme" in " ".join((folder / "report.html").read_text().split())


def test_the_main_job_has_every_worked_example_and_generated_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan alone: the job takes two minutes."""
    planned = []
    monkeypatch.setattr("harness.cli_run._run", lambda work, examples, *_: planned.append((work, examples)) or 0)
    assert invoke("run", *NUMPY_ALONE).exit_code == 0
    ((work, examples),) = planned
    assert [case for _, case in work.known] == [case for example in examples for case in example.cases]
    assert examples
    assert (work.generated, work.seed) == (CASES, 0)
    assert CASES > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_reports_on_what_it_has(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setenv("SIGNAL", str(int(number)))
    before = signal.getsignal(number)
    named = ("--impl", "fourth_column:Signalled", *NUMPY_ALONE)
    result = invoke("run", "--no-examples", "--cases", 30, *named, "--out", "stopped")
    assert result.exit_code == code, result.output
    assert signal.getsignal(number) == before
    store = the_store(elsewhere / "stopped")
    assert len(list(read_cases(store))) == 2
    assert read_run(store).finished == ""
    says = "the run had not finished when this was written: 2 of 30 planned cases are judged"
    assert result.stdout.startswith("INCOMPLETE: ")
    assert says in " ".join(result.stdout.split())
    assert says in (elsewhere / "stopped" / "report.html").read_text()
    assert f"Stopped by {number.name}" in result.stderr
    again = invoke("report", store, "-o", "again.html")
    assert says in " ".join(again.output.split())


def test_an_error_in_the_judge_ends_no_run_and_is_exit_code_3(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.campaign import run as module

    real, judged = module.judge, []

    def fails_once(*arguments: object) -> object:
        judged.append(1)
        if len(judged) == 2:
            raise IndexError("planted")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "judge", fails_once)
    result = invoke("run", "--no-examples", "--cases", 4, *NUMPY_ALONE)
    assert result.exit_code == 3, result.output
    records = list(read_cases(the_store(elsewhere / "gradparity-report")))
    assert [record.verdict == "undecided" for record in records] == [False, True, False, False]
    assert "numpy was not judged: gradparity itself failed with IndexError: planted" in records[1].headline
    assert "Gradparity itself failed in 1 case" in " ".join(result.stdout.split())
    assert f"an error in gradparity: {records[1].title}" in result.stderr


def test_what_nobody_expected_is_exit_code_3_and_keeps_what_is_finished(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.generate.stream as module

    real = module.stream

    def breaks(*arguments: object, **more: object) -> Iterator[object]:
        for case, _ in zip(real(*arguments, **more), range(2), strict=False):  # type: ignore[arg-type]
            yield case
        raise IndexError("planted in a card")

    monkeypatch.setattr(module, "stream", breaks)
    result = invoke("run", "--no-examples", "--cases", 5, *NUMPY_ALONE)
    assert result.exit_code == 3
    assert "IndexError: planted in a card" in result.stderr
    assert "2 of 5 planned cases are judged" in " ".join(result.stdout.split())
    monkeypatch.setattr("harness.cli_run.choose_examples", lambda _: 1 / 0)
    broken = invoke("run")
    assert broken.exit_code == 3
    assert "ZeroDivisionError" in broken.stderr


def test_examples_and_no_examples_exclude_each_other(elsewhere: Path) -> None:
    assert invoke("run", "--no-examples", "--example", "scalar-net").exit_code == 2


def test_list_names_examples_cards_and_implementations() -> None:
    output = invoke("list").output
    for name in ("diagonal-flip/float64", "dense:", "squared_error:", "l2_penalty:", "adam:", "torch:"):
        assert name in output


def a_run(
    *verdicts: str, finished: bool = True, planned: int = 1, generated: tuple[int, ...] = (0, 0)
) -> tuple[RunRecord, list[CaseRecord]]:
    cases = []
    for verdict, number in zip(verdicts, generated, strict=False):
        finding = Finding(implementation="numpy", verdict=verdict, sentence="...")  # type: ignore[arg-type]
        facts = {"title": "", "headline": "", "dtype": "float64", "steps": 0, "generated": number}
        cases.append(CaseRecord(id="0", verdict=verdict, findings=[finding], **facts))  # type: ignore[arg-type]
    return RunRecord(started="now", finished="then" if finished else "", planned=planned), cases


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
        (a_run("undecided", generated=(1,)), 4),
        (a_run("undecided", "exact", generated=(1, 2)), 0),
        (a_run("undecided", "exact", generated=(0, 1)), 4),
        (a_run("exact", "ill-conditioned", generated=(0, 1)), 4),
        (a_run("crash", "exact", generated=(1, 2)), 4),
        (a_run("mismatch", "exact", generated=(1, 2)), 1),
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
