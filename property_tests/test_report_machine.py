"""Reports for other programs: they say what the records say, hold their formats, and no text in a case breaks out."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

from harness.campaign.records import CaseRecord, Finding, RunRecord
from harness.campaign.store import Store
from harness.cli import FORMATS, main
from property_tests.report_fixtures import HOSTILE
from reports.machine import ANNOTATIONS, SUMMARY_BYTES, Export, as_annotations, as_json, as_junit, as_markdown, as_sarif

VERDICTS = ("exact", "rounding", "suspicious", "mismatch", "non-finite", "crash", "not implemented", "undecided")


def case(key, verdict, text="said", name="numpy"):
    place, op = "grad W at step 0", "dense backward"
    finding = Finding(implementation=name, verdict=verdict, place=place, op=op, sentence=text)
    return CaseRecord(
        id=key, title=f"{text} {key}", verdict=verdict, headline=text, dtype="float32", steps=0, findings=[finding]
    )


CASES = [case(str(number), verdict) for number, verdict in enumerate(VERDICTS)]
RUN = RunRecord(
    started="2026-01-01T00:00:00", finished="2026-01-01T00:01:00", implementations=["numpy"], planned=len(CASES),
    environment={"gradparity": "1.2"},
)  # fmt: skip


def test_junit_counts_and_reasons():
    suite = ElementTree.fromstring(as_junit(RUN, CASES)).find("testsuite")  # noqa: S314 - our own text
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "2", "errors": "1", "skipped": "3"}
    kinds = [[child.tag for child in test] for test in suite]
    skipped, failure, error = ["skipped"], ["failure"], ["error"]
    assert kinds == [[], [], skipped, failure, failure, error, skipped, skipped]


def test_sarif_has_a_result_for_every_finding_beyond_rounding():
    log = json.loads(as_sarif(RUN, CASES))
    [run] = log["runs"]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {
        "mismatch": "error", "non-finite": "error", "crash": "error", "suspicious": "warning", "undecided": "note",
    }  # fmt: skip
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == levels.keys()
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    assert len({result["partialFingerprints"]["gradparityCase/v1"] for result in run["results"]}) == 5


def test_json_reads_back():
    assert msgspec.json.decode(as_json(RUN, CASES), type=Export) == Export(run=RUN, cases=CASES)


def test_markdown_has_the_counts_and_the_findings():
    text = as_markdown(RUN, CASES)
    assert "| ✗ mismatch | 1 |" in text
    assert text.count("\n- **") == 5
    cut = as_markdown(msgspec.structs.replace(RUN, finished=""), CASES[:2])
    assert "**Incomplete:**" in cut


def test_annotations_are_the_gravest_and_not_too_many():
    many = [case(str(number), "mismatch") for number in range(30)] + [case("s", "suspicious")]
    lines = as_annotations(RUN, many).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == ANNOTATIONS
    assert sum(line.startswith("::warning ") for line in lines) == 1
    assert as_annotations(RUN, CASES[:2]) == ""


def test_markdown_keeps_within_the_limit():
    long = [case(str(number), "mismatch", text="word " * 8_000) for number in range(60)]
    assert len(as_markdown(RUN, long).encode()) <= SUMMARY_BYTES


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_out(text):
    hostile = [case("a", "mismatch", text, name=text)]
    run = msgspec.structs.replace(RUN, environment={text: text})
    tests = list(ElementTree.fromstring(as_junit(run, hostile)).iter("testcase"))  # noqa: S314 - our own text
    assert len(tests) == 1
    assert len(json.loads(as_sarif(run, hostile))["runs"][0]["results"]) == 1
    assert len(as_annotations(run, hostile).splitlines()) == 1
    markdown = as_markdown(run, hostile)
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "](" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ✗")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [3]


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_writes_every_format(form, tmp_path):
    with Store(tmp_path / "r.sqlite") as store:
        store.describe(RUN)
        for record in CASES:
            store.add(record, b"{}")
    said = CliRunner().invoke(main, ["report", str(tmp_path / "r.sqlite"), "--format", form])
    assert said.exit_code == 0, said.output
    written = CliRunner().invoke(main, ["report", str(tmp_path / "r.sqlite"), "-f", form, "-o", str(tmp_path / "out")])
    assert written.exit_code == 0
    assert (tmp_path / "out").read_text() == said.output
    assert "mismatch" in said.output
