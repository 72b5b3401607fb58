"""The catalogue of cards, and the method with a run's own numbers: complete, right, and escaped."""

from __future__ import annotations

import functools
import html as markup
import re
from collections.abc import Callable

import msgspec
import pytest

from harness.campaign.card_texts import card_texts, lines_of
from harness.campaign.records import SEVERITY, CaseRecord, RunRecord
from harness.registry import Cards, installed_cards
from property_tests import report_fixtures as fixtures
from reports import catalogue_view, coverage, html, method_view
from reports.coverage import KINDS
from reports.wording import ratio_text

RUN, CASES = fixtures.generated_run()
FAULTY = next(case for case in CASES if case.verdict == "mismatch")


def view(text: str, name: str) -> str:
    """A page of the report as text."""
    article = re.search(rf'<article class="page {name}".*?</article>', text, re.DOTALL)
    return article[0] if article else ""


def entry(text: str, anchor: str) -> str:
    """A card of the catalogue, its markup left out."""
    found = re.search(rf'<details class="card[^>]* id="{re.escape(anchor)}">.*?</details>', text, re.DOTALL)
    assert found, f"the catalogue has no {anchor}"
    return markup.unescape(re.sub(r"<[^>]*>", " ", found[0]))


# The texts of cards.


def test_every_card_has_its_texts():
    cards = installed_cards()
    texts = {(one.kind, one.name): one for one in card_texts(cards)}
    assert len(texts) == len(cards.operations) + len(cards.optimizers) + len(cards.schedules) + len(cards.clippings)
    assert {one.kind for one in texts.values()} == set(KINDS)
    for one in texts.values():
        assert one.maths, one.name
        assert one.torch or one.name == "lion", f"torch has no {one.name}"
        assert one.jax
    assert texts["layers", "tanh"].torch == "return torch.tanh(x)"
    assert texts["optimizers", "adam"].jax.startswith("adam = optax.adam(lr,")
    assert "dx = dy (1 - y²)" in texts["layers", "tanh"].maths


@pytest.mark.parametrize("function", [None, len, functools.partial(int, base=2), Cards])
def test_what_has_no_source_has_no_lines(function: Callable | None):
    assert "def " not in lines_of(function) or function is Cards


# The catalogue.


def check_catalogue(run: RunRecord, cases: list[CaseRecord]) -> None:
    """Every card that the run has the texts of, its counts as they are, and its largest error / bound."""
    assert run.catalogue is not None
    text = html.render(run, cases)
    assert '<a href="#catalogue">' in text
    assert len(re.findall('<details class="card', text)) == len(run.catalogue.cards)
    for card in run.catalogue.cards:
        told = entry(text, f"card={card.kind}.{card.name}")
        for part in (card.summary, card.maths, card.torch, card.jax):
            assert part in told
        using = [c for c in cases if c.tested and card.name in (*c.tested.cards, c.tested.optimizer)]
        assert re.search(rf" {len(using)}  cases", told)
        assert ("Never tested in this run." in told) == (not using)
        own = [f for c in using for f in c.findings if f.verdict in ("exact", "rounding")]
        own += [f for c in using for f in c.findings if f.verdict == "mismatch" and f.op.startswith(card.name)]
        worst = ratio_text(max(float(f.worst_ratio) for f in own)) if own else "–"
        assert re.search(rf"worst error / bound +{re.escape(worst)} *\n", told), (card.name, worst)


def test_the_catalogue_has_every_card_and_its_zeros():
    large = msgspec.structs.replace(FAULTY.findings[2], worst_ratio=812.0)
    faulty = msgspec.structs.replace(FAULTY, findings=[*FAULTY.findings[:2], large])
    check_catalogue(RUN, [faulty if case is FAULTY else case for case in CASES])


def test_a_run_without_texts_has_no_catalogue():
    assert RUN.catalogue is not None
    old = msgspec.structs.replace(RUN, catalogue=msgspec.structs.replace(RUN.catalogue, cards=[]))
    for run in (old, fixtures.run()):
        text = html.render(run, CASES)
        assert "#catalogue" not in text
        assert "card=" not in text
        assert view(text, "method")


def test_a_name_that_is_no_address_has_a_number():
    assert RUN.catalogue is not None
    cards = [msgspec.structs.replace(RUN.catalogue.cards[0], name='"><b>')]
    assert coverage.card_anchors(msgspec.structs.replace(RUN.catalogue, cards=cards)) == {
        ("layers", '"><b>'): "card=layers.~0"
    }


# The method.


def check_method(run: RunRecord, cases: list[CaseRecord]) -> None:
    """The numbers of the run, counted once more."""
    method = method_view.method_view(run, cases, run.implementations)
    assert [(one.name, one.power, one.roundoff) for one in method.dtypes] == [
        ("float16", "2⁻¹¹", "4.9×10⁻⁴"), ("float32", "2⁻²⁴", "6×10⁻⁸"), ("float64", "2⁻⁵³", "1.1×10⁻¹⁶"),
    ]  # fmt: skip
    assert [int(one.cases) for one in method.dtypes] == [0, 0, len(cases)]
    assert method.budgets == (("divide", "2"), ("exp", "6.5"))
    assert "2026-11-20" in method.origin
    for row, verdict in zip(method.verdicts, SEVERITY, strict=True):
        assert int(row.cases) == sum(case.verdict == verdict for case in cases)
        for number, who in zip(row.each, run.implementations, strict=True):
            found = [f for case in cases for f in case.findings if f.implementation == who]
            assert int(number) == sum(f.verdict == verdict for f in found)
    for row in method.sharpness:
        own = [f for case in cases for f in case.findings if f.implementation == row.implementation and f.numbers]
        assert int(row.cases) == len(own)
        assert row.numbers == f"{sum(f.numbers for f in own):,}"
        assert row.vacuous == f"{sum(f.vacuous for f in own):,}"
    assert sum(int(number) for _, number in method.tiers) == len(cases)


def test_the_method_has_the_numbers_of_the_run():
    check_method(RUN, CASES)


def test_exact_values_are_counted_by_how_they_were_had():
    texts = ["ball arithmetic with 128 bits, up to step 3", "ball arithmetic with 129 bits, up to step 0",
             "ball arithmetic with 5,128 bits, up to step 9", "a wider floating-point type, up to step 0"]  # fmt: skip
    cases = [msgspec.structs.replace(CASES[0], notes={"exact values": text}) for text in texts]
    cases.append(msgspec.structs.replace(CASES[0], notes={}))
    assert method_view.method_view(RUN, cases, []).tiers == (
        ("a wider floating-point type", "1"),
        ("ball arithmetic with up to 256 bits", "2"),
        ("ball arithmetic with up to 16,384 bits", "1"),
        ("not recorded, or there is none", "1"),
    )


def test_the_method_is_on_the_page_and_escaped():
    environment = {"rounding budgets, in u": "<b>exp</b> 6", "rounding budgets from": "<script>"}
    text = html.render(msgspec.structs.replace(RUN, environment=environment), CASES)
    assert '<a href="#method">' in text
    assert "&lt;b&gt;exp&lt;/b&gt;" in view(text, "method")
    assert "From &lt;script&gt;." in view(text, "method")
    assert "<script>" not in view(text, "method")


# The checks above, seen to fail.


@pytest.mark.parametrize(
    ("module", "name", "planted"),
    [
        (coverage, "FAULTS", ()),
        (coverage, "AGREEING", ()),
        (catalogue_view, "_worst", lambda ratio: "0"),
        (coverage, "_SAFE", re.compile("a")),
    ],
)
def test_planted_mistakes_in_the_catalogue_are_seen(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, planted: object
):
    monkeypatch.setattr(module, name, planted)
    with pytest.raises(AssertionError):
        test_the_catalogue_has_every_card_and_its_zeros()


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("BITS", {"float16": 11, "float32": 23, "float64": 53}),
        ("SEVERITY", SEVERITY[::-1]),
        ("finding_of", lambda case, who: case.findings[0]),
        ("_budgets", lambda text: [("divide", "2")]),
    ],
)
def test_planted_mistakes_in_the_method_are_seen(monkeypatch: pytest.MonkeyPatch, name: str, planted: object):
    monkeypatch.setattr(method_view, name, planted)
    with pytest.raises(AssertionError):
        check_method(RUN, CASES)
