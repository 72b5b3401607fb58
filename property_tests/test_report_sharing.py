"""What is taken out of a report: the test runs, and holds what it says; the text of an issue cannot be spoiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import Case, Network, Node, TensorSpec
from harness.campaign.records import CaseRecord, Finding, RunRecord
from reports.html import render
from reports.sharing import texts_to_copy

CASE = Case(
    Network(
        inputs={"x": TensorSpec([1, 2])},
        params={"W": TensorSpec([2, 1])},
        nodes=[Node("y", "dense", ["x"], {"W": "W"})],
        loss=[Node("L", "value", ["y"])],
    ),
    {"x": [[1.0, 2.0]], "W": [[0.5], [0.25]]},
)
DOUBLED = """
from dataclasses import replace
from harness import implementation

class Doubled:
    name = "doubled"
    def run(self, case):
        trace = implementation("numpy").run(case)
        return replace(trace, quantities={k: v * 2 if k.kind == "grad" else v for k, v in trace.quantities.items()})
"""
RUN = RunRecord(
    started="2026-01-01T00:00:00+00:00",
    finished="2026-01-01T00:00:01+00:00",
    implementations=["numpy", "doubled"],
    environment={"python": "3.11.7", "numpy": "2.4.6", "platform": "Linux-6.1", "CPU count": "2", "OMP": "not set"},
    store="out/my results.sqlite",
)


SENTENCE = "doubled is wrong in `grad W_1 at step 0`."


def a_record(title: str = "dense", sentence: str = SENTENCE, **changes: object) -> CaseRecord:
    findings = [
        Finding(implementation="numpy", verdict="exact", sentence="numpy is right."),
        Finding(implementation="doubled", verdict="mismatch", sentence=sentence, worst_ratio=1e9),
    ]
    given = {"verdict": "mismatch", "headline": sentence, "findings": findings, **changes}
    return CaseRecord(id=CASE.id, title=title, dtype="float64", steps=0, **given)  # type: ignore[arg-type]


def by_name(record: CaseRecord, run: RunRecord = RUN) -> dict[str, str]:
    return {note.name: note.text for note in texts_to_copy(record, run)}


@pytest.mark.parametrize(("who", "passes"), [("numpy", True), ("doubled_module:Doubled", False)])
def test_the_test_runs_and_fails_while_the_fault_is_there(who: str, passes: bool, tmp_path: Path) -> None:
    text = by_name(a_record())["as a pytest test"].replace("('numpy', 'doubled')", repr((who,)))
    named = text.splitlines()[0].rpartition("> ")[2]
    (tmp_path / named).write_bytes(CASE.to_json())
    (tmp_path / "doubled_module.py").write_text(DOUBLED)
    (tmp_path / "test_it.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_it.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or "doubled disagrees with the exact value" in done.stdout


def test_the_command_in_it_gets_the_case_file() -> None:
    first = by_name(a_record())["as a pytest test"].splitlines()[0]
    assert first == f"# The case file: gradparity export 'out/my results.sqlite' {CASE.id} > case_{CASE.id[:16]}.json"


def test_an_issue_says_what_is_wrong_in_which_versions() -> None:
    text = by_name(a_record())["as the text of an issue"]
    assert text.startswith(SENTENCE)
    assert "| doubled | mismatch, error / bound 1×10⁹ |" in text
    assert "| versions | python 3.11.7, numpy 2.4.6 |" in text
    assert f"    gradparity reproduce 'out/my results.sqlite' {CASE.id} -o reproducer.py" in text


def test_nothing_in_an_issue_is_markup_or_leaves_its_line() -> None:
    title = "a\n# heading | cell <img src=x> [link](javascript:1) *b* _e_ `c_c` `d"
    text = by_name(a_record(title, sentence=title))["as the text of an issue"]
    assert [line for line in text.splitlines() if line.startswith("#")] == []
    (row,) = [line for line in text.splitlines() if line.startswith("| network")]
    assert row == r"| network | a \# heading \| cell \<img src=x\> \[link\](javascript:1) \*b\* \_e\_ `c_c` \`d |"


def test_what_agrees_or_is_not_stored_has_nothing_to_be_pasted() -> None:
    assert by_name(a_record(verdict="exact")) == {}
    assert by_name(a_record(), RunRecord(started=RUN.started)) == {}


def test_a_page_has_them() -> None:
    page = render(RUN, [a_record()])
    assert "as a pytest test" in page
    assert "gradparity shrink " in page
    right = render(RUN, [a_record(verdict="exact", findings=[])])
    assert "as a pytest test" not in right
    assert "gradparity shrink " not in right
