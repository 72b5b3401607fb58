"""What the report says was tested: the numbers, the zeros, and what a pass does not mean, before any count."""

from __future__ import annotations

import msgspec
import pytest

from harness.campaign.records import CaseRecord, RunRecord, Tested, tally
from harness.campaign.store import IN_FULL, IN_FULL_WRONG, abridge
from property_tests import report_fixtures as fixtures
from reports import coverage as module
from reports import html, terminal, view_model
from reports.coverage import Coverage, Row


def covered(run: RunRecord, cases: list[CaseRecord]) -> Coverage:
    found = module.coverage(run, cases, fixtures.IMPLEMENTATIONS)
    assert found is not None
    return found


def row(found: Coverage, name: str) -> Row:
    return next(row for kind in found.kinds for row in kind.rows if row.name == name)


def counted(found: Coverage, title: str) -> dict[str, str]:
    return {one.name: one.number for table in found.tables if table.title == title for one in table.bins}


def test_every_card_has_a_row_with_what_came_of_it_in_each_implementation():
    found = covered(*fixtures.generated_run())
    assert row(found, "dense").number == "6"
    # The diagonal flip, a mismatch, what jax lacks, and three that pass; torch is undecided once.
    assert [cell.judged for cell in row(found, "dense").cells] == ["6", "5", "5"]
    jax = {part.badge.word: part.number for part in row(found, "dense").cells[2].parts}
    assert jax == {"rounding": "3", "undetermined branch": "1", "mismatch": "1", "not implemented": "1"}
    never = row(found, "never_drawn")
    assert (never.number, never.never, never.share) == ("0", True, 0)
    assert row(found, "adam").number == "1"
    assert row(found, "adam").cells[2].never, "jax lacked the only case with adam"
    assert row(found, "cosine").never


def test_a_fault_is_counted_apart_from_the_cards_that_are_not_blamed():
    found = covered(*fixtures.generated_run())
    blamed = {part.badge.word: part.elsewhere for part in row(found, "dense").cells[2].parts}
    other = {part.badge.word: part.elsewhere for part in row(found, "relu").cells[2].parts}
    assert (blamed["mismatch"], other["mismatch"]) == (False, True)
    shared = fixtures.failing("jax", "mismatch", "dense backward or relu backward")
    found = covered(fixtures.run(catalogue=fixtures.CATALOGUE), [fixtures.generated(1, shared)])
    assert not any(part.elsewhere for part in row(found, "relu").cells[2].parts)


def test_sizes_numbers_and_kinks_are_counted_with_their_zeros():
    found = covered(*fixtures.generated_run())
    assert counted(found, "Dtype") == {"float64": "6", "float32": "0"}
    assert counted(found, "Numbers") == {"he": "4", "zeros": "1", "given": "1"}
    assert counted(found, "Special values") == {"zero": "5", "huge": "0"}
    assert counted(found, "NaN or infinity") == {
        "among the given numbers": "0", "in numpy": "0", "in torch": "1", "in jax": "0"
    }  # fmt: skip
    assert counted(found, "Layers in the network")["4"] == "5"
    assert counted(found, "Layers in the network")["17 and more"] == "0"
    assert {one.name: (one.cases, one.near, one.comparisons, one.ties) for one in found.kinks} == {
        "relu": ("5", "3", "15", "3"),
        "never_drawn": ("0", "0", "0", "0"),
    }
    assert [one.never for one in found.kinks] == [True, False]
    (lack,) = found.lacks
    assert (lack.implementation, lack.number, lack.reason) == ("jax", "1", "it has no such rule")


GAPS = [
    "4 of 10 cards were never tested: never_drawn, l2_penalty, cosine and by_norm.",
    "No case with the card adam was judged in jax.",
    "Every case is in float64: float32 was never tested.",
]


@pytest.mark.parametrize("text", GAPS)
def test_what_a_pass_does_not_mean_stands_above_the_counts(text: str):
    run, cases = fixtures.generated_run()
    page = html.render(run, cases)
    assert page.index(text) < page.index('class="counts"')
    flat = " ".join(terminal.summary(run, cases).split())
    assert flat.index(text) < flat.index("of 6 cases agree")
    chosen = msgspec.structs.replace(run, generated=0)
    assert text not in html.render(chosen, cases).partition('class="counts"')[0], "who chose the cases knows it"
    assert text in html.render(chosen, cases), "on the coverage page it is said anyway"


def test_cases_that_say_nothing_and_errors_of_our_own_are_told():
    run, cases = fixtures.generated_run()
    base = fixtures.agreeing(3)
    empty = [msgspec.structs.replace(one, verdict="undecided") for one in base.findings]
    nothing = fixtures.generated(6, msgspec.structs.replace(base, verdict="undecided", findings=empty))
    assert (
        "1 of 6 generated cases says nothing: it has no exact value, or no finite bound."
        in covered(run, [*cases, nothing]).gaps
    )
    failed = fixtures.generated(6, fixtures.failing("jax", "undecided", internal=True))
    found = covered(run, [*cases, failed])
    assert found.told[0] == f"Gradparity itself failed in 1 case, first in {failed.id}: please report it."
    assert found.told[0] in covered(msgspec.structs.replace(run, generated=0), [*cases, failed]).told


def test_what_was_judged_nowhere_is_said_once():
    base = fixtures.agreeing(3)
    empty = [msgspec.structs.replace(one, verdict="undecided") for one in base.findings]
    nothing = fixtures.generated(1, msgspec.structs.replace(base, verdict="undecided", findings=empty), cards=["dense"])
    lacking = fixtures.generated(2, fixtures.failing("jax", "not implemented"), cards=["relu"])
    found = covered(fixtures.run(catalogue=fixtures.CATALOGUE), [nothing, lacking])
    assert [gap for gap in found.gaps if "judged" in gap] == [
        "No case with the card dense was judged in any implementation.",
        "No case with the card relu was judged in jax.",
    ]


def test_where_everything_was_tested_there_is_no_gap():
    tested = {"optimizer": "adam", "schedule": "cosine", "clip": "by_norm"}
    names = [*fixtures.CATALOGUE.layers, *fixtures.CATALOGUE.losses, *fixtures.CATALOGUE.penalties]
    both = [
        fixtures.generated(1, fixtures.agreeing(1), cards=names, **tested),
        fixtures.generated(2, fixtures.agreeing(2), cards=names, **{**tested, "optimizer": "sgd"}, dtype="float32"),
    ]
    assert covered(fixtures.run(catalogue=fixtures.CATALOGUE, generated=2), both).gaps == ()


def test_a_run_from_before_has_no_coverage():
    run, cases = fixtures.good_run()
    page = html.render(run, cases)
    assert 'id="coverage"' not in page
    assert 'href="#coverage"' not in page


def test_a_card_that_is_left_out_of_the_tables_is_missed(monkeypatch: pytest.MonkeyPatch):
    """The check of the rows, seen to fail."""

    def careless(tested, catalogue):
        counts = tally(tested, catalogue)
        return {**counts, "layers": {name: number for name, number in counts["layers"].items() if number}}

    monkeypatch.setattr(module, "tally", careless)
    with pytest.raises(StopIteration):
        test_every_card_has_a_row_with_what_came_of_it_in_each_implementation()


def test_a_card_that_no_release_knows_is_counted():
    stray = fixtures.generated(1, fixtures.agreeing(1), cards=["from_elsewhere"])
    assert row(covered(fixtures.run(catalogue=fixtures.CATALOGUE), [stray]), "from_elsewhere").number == "1"


def test_generated_cases_that_agree_are_counted_and_the_others_have_their_numbers_and_commands():
    run, cases = fixtures.generated_run()
    page = view_model.build(run, cases)
    group = page.groups[-1]
    assert group.title == "Generated cases"
    assert [row.title.partition(" ")[0] for row in group.rows] == ["#3", "#5"]
    assert group.agree == "3 generated cases agree, 1 of them where they are implemented"
    assert group.more == ""
    assert page.left_out == "1 case of 6 has no page here"
    assert page.show == "gradparity show 'out/my results.sqlite' CASE"
    assert len(page.cases) == 5
    wrong = next(case for case in page.cases if case.title.startswith("#3"))
    where = f"'out/my results.sqlite' {cases[3].id}"
    assert [note.text for note in wrong.again] == [
        f"gradparity replay {where}",
        f"gradparity reproduce {where} -o reproducer.py",
        f"gradparity shrink {where} -o small.json",
        f"gradparity export {where} > case.json",
    ]
    assert wrong.again_open
    text = terminal.summary(run, cases)
    assert f"gradparity replay {where}" in text
    assert "3 more generated cases agree to within rounding, 1 of them where they are implemented." in text
    assert "jax, 1 case: it has no such rule" in text


def test_cases_of_which_the_same_is_said_share_a_block():
    run, _ = fixtures.generated_run()
    wrong = fixtures.failing("jax", "mismatch", "dense backward")
    cases = [fixtures.generated(number, wrong, abridged=number == 1) for number in range(1, 5)]
    text = terminal.summary(run, cases)
    assert text.count("✗ MISMATCH · jax") == 1
    assert "Much the same in 3 more cases" in text
    (bug,) = view_model.build(run, cases).bugs
    assert bug.smallest.anchor == f"case={cases[1].id}", "one that has a page stands for the others"
    assert [bool(case.anchor) for case in bug.cases] == [True, True, True, False]


def test_of_many_generated_cases_the_first_keep_their_numbers():
    right = [fixtures.generated(k, fixtures.agreeing(k)) for k in range(1, 20)]
    wrong = [fixtures.generated(k, fixtures.failing("jax", "mismatch", "dense backward")) for k in range(20, 80)]
    given = [fixtures.agreeing(k) for k in range(100, 120)]
    kept = [case for case in abridge([*right, *wrong, *given]) if not case.abridged]
    assert len(kept) == IN_FULL + IN_FULL_WRONG + len(given)
    assert kept[:IN_FULL] == right[:IN_FULL]
    assert all(case.quantities for case in kept)
    assert not any(case.quantities for case in abridge(right) if case.abridged)


def test_a_record_without_facts_is_not_counted():
    found = covered(fixtures.run(catalogue=fixtures.CATALOGUE), [fixtures.agreeing(1)])
    assert found.total == "0"
    assert tally([Tested()], fixtures.CATALOGUE)["optimizers"]["none"] == 1
