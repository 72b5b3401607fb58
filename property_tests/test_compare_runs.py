"""Comparing two runs: every kind of change is told apart, and what cannot be compared is said."""

from __future__ import annotations

import msgspec
import pytest
from click.testing import CliRunner

from harness.campaign.records import CaseRecord, Cell, Finding, QuantityRecord, RunRecord
from harness.campaign.store import Store
from harness.cli import main
from reports.comparison import KINDS, SCHEMA, Comparison, as_json, as_text, compare_runs


def case(key, verdict="rounding", ratio=0.25, values=("1.0",), name="numpy", **more):
    finding = Finding(implementation=name, verdict=verdict, worst_ratio=ratio, place="grad W at step 0", sentence="s")
    cell = Cell(implementation=name, verdict=verdict, values=list(values))
    quantity = QuantityRecord(step=0, kind="grad", name="W", cells=[cell])
    return CaseRecord(
        id=key, title=f"case {key}", verdict=verdict, headline="h", dtype="float64", steps=0, findings=[finding],
        quantities=[quantity], **more,
    )  # fmt: skip


def run(cases, implementations=("numpy",), **more):
    described = {"started": "2026-01-01", "finished": "2026-01-01", "implementations": list(implementations)}
    return RunRecord(**{**described, "planned": len(cases), **more}), cases


def compared(old, new):
    return compare_runs(*run(old), *run(new))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("broken", {"verdict": "rounding"}, {"verdict": "mismatch", "ratio": 1e6}),
        ("broken", {"verdict": "exact", "ratio": 0.0}, {"verdict": "crash"}),
        ("fixed", {"verdict": "non-finite"}, {"verdict": "exact", "ratio": 0.0}),
        ("changed verdict", {"verdict": "rounding"}, {"verdict": "undetermined branch"}),
        ("changed verdict", {"verdict": "mismatch"}, {"verdict": "undecided"}),
        ("error grew", {"ratio": 0.25}, {"ratio": 0.75, "values": ("1.5",)}),
        ("error shrank", {"ratio": 0.75}, {"ratio": 0.25, "values": ("1.5",)}),
        ("other numbers", {"values": ("1.0",)}, {"values": ("1.0000000000000002",)}),
        ("other numbers", {"verdict": "exact", "ratio": 0.0}, {"verdict": "rounding", "ratio": 0.1}),
        ("same", {}, {}),
    ],
)
def test_kinds_of_change(kind, old, new):
    found = compared([case("a", **old)], [case("a", **new)])
    assert found.counts == {one: int(one == kind) for one in KINDS}
    assert [change.kind for change in found.changes] == ([] if kind == "same" else [kind])
    assert found.broken == (kind == "broken")


def test_what_grew_most_comes_first():
    old = [case(key) for key in "abc"]
    new = [case(key, ratio=ratio, values=(key,)) for key, ratio in zip("abc", (0.6, 0.9, 0.7), strict=True)]
    assert [change.case for change in compared(old, new).changes] == ["b", "c", "a"]


def test_cases_of_one_run_only_are_listed():
    found = compared([case("a"), case("b")], [case("b"), case("c")])
    assert (found.only_old, found.only_new) == (["a"], ["c"])


def test_what_cannot_be_compared_is_said():
    old = run([case("a")], ("numpy", "torch"), finished="", planned=9)
    new = run([case("b", abridged=True)], ("numpy", "jax"))
    text = as_text(compare_runs(*old, *new))
    assert "torch: only the old run has it" in text
    assert "jax: only the new run has it" in text
    assert "no case is in both runs" in text
    assert "the old run was stopped after 1 of 9 cases" in text
    same = compare_runs(*run([case("a", abridged=True)]), *run([case("a")]))
    assert any("the numbers of 1 cases" in one for one in same.incomparable)


def test_the_environment_shows_what_differs():
    old, new = run([case("a")], environment={"jax": "0.9", "os": "x"}), run([case("a")], environment={"jax": "0.10"})
    found = compare_runs(*old, *new)
    assert found.environment == {"jax": ("0.9", "0.10"), "os": ("x", "")}
    assert "jax: 0.9 -> 0.10" in as_text(found)


def test_text_is_harmless_and_json_reads_back():
    hostile = case("a", verdict="mismatch")
    hostile = msgspec.structs.replace(hostile, title="x\x1b[31m\n\u202ey")
    found = compared([case("a")], [hostile])
    assert "\x1b" not in as_text(found)
    assert "\u202e" not in as_text(found)
    assert max(map(len, as_text(found).splitlines())) <= 100
    again = msgspec.json.decode(as_json(found), type=Comparison)
    assert again == found
    assert again.schema == SCHEMA


def stored(path, cases):
    described, records = run(cases)
    with Store(path) as store:
        store.describe(described)
        for record in records:
            store.add(record, b"{}")
    return str(path)


def test_the_command_exits_by_what_is_broken(tmp_path):
    good, bad = [case("a")], [case("a", verdict="mismatch", ratio=9.0)]
    old, new = stored(tmp_path / "old.sqlite", good), stored(tmp_path / "new.sqlite", bad)
    broken = CliRunner().invoke(main, ["compare", old, new])
    assert broken.exit_code == 1, broken.output
    assert "broken" in broken.output
    assert CliRunner().invoke(main, ["compare", new, old]).exit_code == 0
    other = stored(tmp_path / "other.sqlite", [case("z")])
    assert CliRunner().invoke(main, ["compare", old, other]).exit_code == 5
    as_data = CliRunner().invoke(main, ["compare", old, new, "--json"])
    assert msgspec.json.decode(as_data.output)["counts"]["broken"] == 1
