"""How sharp a test was: said where a pass is counted, and never of what was not judged."""

from __future__ import annotations

import msgspec
import pytest

from harness.campaign.records import CaseRecord, Cell, Finding
from property_tests import report_fixtures as fixtures
from reports import html, sharpness, view_model


def vacuous_by_hand(cases: list[CaseRecord]) -> int:
    """A second count, from the cells instead of the findings."""
    return sum(cell.vacuous for case in cases for quantity in case.quantities for cell in quantity.cells)


def test_the_page_warns_before_it_counts():
    run, cases = fixtures.good_run()
    page = html.render(run, cases)
    warning = view_model.build(run, cases).vacuous
    assert warning is not None
    assert warning.text.startswith(f"{vacuous_by_hand(cases)} of ")
    assert warning.text.endswith("numbers pass vacuously: their rounding bound is as large as they are")
    assert warning.cases == (("case=7f3c09a1e2b44d10", "4-3-4 network, one step by hand"),)
    assert page.index('class="vacuous"') < page.index('class="counts"')
    assert '<a href="#sharpness">' in page
    assert 'id="sharpness"' in page


def test_without_vacuous_passes_there_is_no_warning():
    run, cases = fixtures.good_run()
    assert vacuous_by_hand(cases[1:]) == 0
    assert view_model.build(run, cases[1:]).vacuous is None
    assert 'class="vacuous"' not in html.render(run, cases[1:])


def test_the_warning_leads_to_the_worst_cases_and_counts_the_others():
    flips = []
    for k in range(5):
        base = fixtures.diagonal_flip()
        findings = [msgspec.structs.replace(finding, vacuous=k + 1) for finding in base.findings]
        flips.append(msgspec.structs.replace(base, id=f"f{k}", title=f"flip {k}", findings=findings))
    warning = view_model.build(fixtures.run(), flips).vacuous
    assert warning is not None
    assert warning.cases == (("case=f4", "flip 4"), ("case=f3", "flip 3"), ("case=f2", "flip 2"))
    assert warning.more == "2 more cases"


@pytest.mark.parametrize(
    ("change", "vacuous", "sentence"),
    [
        (2.8e-15, 0, "would have seen a relative change of 2.8×10⁻¹⁵ in half of the gradient elements; none of"),
        (0.0, 1, "would have seen any change in half of the gradient elements; 1 of"),
        ("inf", 12, "would have seen no change in half of the gradient elements, however large; 12 of"),
        ("nan", 2, "2 of"),
    ],
)
def test_an_implementation_says_what_its_test_would_have_seen(change, vacuous: int, sentence: str):
    case = fixtures.agreeing(1)
    finding = msgspec.structs.replace(case.findings[0], sharpness=change, vacuous=vacuous)
    said = sharpness.sharpness_sentence(case, finding)
    assert said.startswith(sentence)
    assert said.endswith(f" of {finding.numbers:,} numbers {'passes' if vacuous < 2 else 'pass'} vacuously")


def test_nothing_is_said_of_what_was_not_judged():
    case = fixtures.crashed()
    said = [finding.sharpness for finding in view_model.build(fixtures.run(), [case]).cases[0].findings]
    assert said == ["none of 1 number passes vacuously", "", ""], "no gradient, a crash, and no finding"
    old = fixtures.dag()  # its findings count no numbers, as those of a store from before sharpness
    view = view_model.build(fixtures.run(), [old]).cases[0]
    assert {finding.sharpness for finding in view.findings} == {""}
    assert {text for step in view.steps for quantity in step.quantities for text in quantity.sharpness} == {""}


def test_each_quantity_says_it_in_its_header():
    case = view_model.build(fixtures.run(), [fixtures.diagonal_flip()]).cases[0]
    by_name = {(quantity.kind, quantity.name): quantity for quantity in case.steps[0].quantities}
    assert by_name["value", "z1"].sharpness == ("sees 8.9×10⁻¹⁶ · 1 of 3 vacuous",) * 3
    assert by_name["value", "z1"].vacuous == "◌ 1 of 3 vacuous"
    assert by_name["gradient", "b1"].sharpness[0] == "sees any change"
    assert by_name["gradient", "b1"].vacuous == ""
    assert "<br>sees 8.9×10⁻¹⁶ · 1 of 3 vacuous</small>" in html.render(fixtures.run(), [fixtures.diagonal_flip()])


def test_the_guide_explains_both_measures_and_both_judgements():
    page = html.render(*fixtures.good_run())
    guide = page[page.index('id="guide"') : page.index('id="environment"')]
    for words in ("sharpness", "passes vacuously", "<b>global</b>", "<b>local</b>", "names the operation at fault"):
        assert words in guide


# The checks above, seen to fail.


def test_planted_forgotten_implementation_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        sharpness,
        "vacuous_totals",
        lambda cases: (sum(case.findings[0].vacuous for case in cases if case.findings), 1000),
    )
    with pytest.raises(AssertionError):
        test_the_page_warns_before_it_counts()


def test_planted_claim_about_the_unjudged_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sharpness, "has_gradients", lambda case, finding: True)
    with pytest.raises(AssertionError):
        test_nothing_is_said_of_what_was_not_judged()


def test_an_unknown_sharpness_is_left_out_of_a_cell():
    finding = Finding(implementation="jax", verdict="rounding", sentence="", numbers=3)
    cell = Cell(implementation="jax", verdict="rounding", sharpness="nan", vacuous=2)
    assert sharpness.cell_sharpness(cell, finding, 3) == "2 of 3 vacuous"
    assert sharpness.cell_sharpness(cell, None, 3) == ""
