"""The generated cases of a run: the same for the same seed, and every card among them in a run of the usual length."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from harness import Cards, Misfit, installed_cards
from harness.campaign.card_check import finding_of
from harness.cli_run import CASES
from harness.generate import count
from harness.generate import stream as module
from harness.generate.counts import catalogue, facts
from harness.generate.stream import DRAWS, settings, stream
from harness.generate.values import EXTREME, NON_FINITE
from harness.mutants import Mutant, mutated_cards
from harness.registry import KINDS
from property_tests.verdicts import FINE
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
DRAWN = list(stream(CARDS, CASES))
KINDS_OF_OPERATIONS = {"layer": "layers", "loss": "losses", "penalty": "penalties"}


def left_out(cards: Cards) -> set[str]:
    """The cards that the catalogue does not name."""
    named = catalogue(cards)
    missing = set()
    for kind in KINDS.values():
        for name, card in getattr(cards, kind).items():
            table = KINDS_OF_OPERATIONS[card.kind] if kind == "operations" else kind
            missing |= set() if name in getattr(named, table) else {name}
    return missing


def test_the_catalogue_has_every_card_that_is_installed():
    assert left_out(CARDS) == set()


def test_a_card_that_is_left_out_of_the_catalogue_is_missed(monkeypatch: pytest.MonkeyPatch):
    real = catalogue(CARDS)
    for table in ("layers", "losses", "penalties", "optimizers", "schedules", "clippings"):
        names = getattr(real, table)
        short = type(real)(**{**{name: getattr(real, name) for name in real.__struct_fields__}, table: names[1:]})
        monkeypatch.setitem(globals(), "catalogue", lambda cards, short=short: short)
        assert left_out(CARDS) == set(names[:1])


def test_a_run_of_the_usual_length_has_every_operation_and_both_dtypes():
    never = count(DRAWN, CARDS).never()
    assert [one for one in never if one.startswith(("layers", "losses", "penalties", "dtypes"))] == []


def unusual(drawn) -> list[str]:
    """Hyperparameters of layers and losses that no card gives as usual."""
    found = []
    for case in drawn:
        for _, node in case.network.operations():
            for name, value in node.hypers.items():
                spec = CARDS.operations[node.op].hypers[name]
                usual = (spec.default, *spec.typical, *spec.choices)
                found += [f"{node.op} {name}"] if value not in usual and any(one is not None for one in usual) else []
    return found


def test_hyperparameters_are_as_they_are_used(monkeypatch: pytest.MonkeyPatch):
    assert unusual(DRAWN) == []
    monkeypatch.setattr(module, "without_edges", lambda spec: spec)
    assert unusual(stream(CARDS, 20))


def test_chance_alone_would_leave_cards_out(monkeypatch: pytest.MonkeyPatch):
    """The check above, seen to fail."""
    real = module._architecture
    monkeypatch.setattr(module, "_architecture", lambda cards, seen, *more: real(cards, {}, *more))
    drawn = list(stream(CARDS, CASES))
    assert any(one.startswith("layers") for one in count(drawn, CARDS).never())


def test_the_same_seed_draws_the_same_cases_and_a_shorter_run_is_a_beginning():
    assert [case.id for case in stream(CARDS, 20)] == [case.id for case in DRAWN[:20]]
    assert {case.id for case in stream(CARDS, 20, 1)}.isdisjoint(case.id for case in DRAWN)


def test_it_draws_no_more_than_it_is_asked_for():
    drawn = stream(CARDS, 10**9)
    assert len(list(islice(drawn, 3))) == 3


def test_cases_in_one_setting_use_one_program_and_differ_in_their_numbers():
    for first in range(0, 40, DRAWS):
        together = DRAWN[first : first + DRAWS]
        assert len({(repr(case.network), case.dtype, repr(case.optimizer), case.steps) for case in together}) == 1
    assert len({case.id for case in DRAWN}) > 0.9 * len(DRAWN)


def test_a_network_with_parameters_comes_without_an_optimizer_and_with_one():
    chosen = list(islice(settings(CARDS), 30))
    for before, after in pairwise(chosen):
        if before.optimizer is None and before.architecture.network.params:
            assert after.architecture is before.architecture
            assert (after.optimizer is not None, after.steps > 0) == (True, True)
    used = [one.optimizer for one in chosen if one.optimizer is not None]
    assert any(one.schedule for one in used) == bool(CARDS.schedules)
    assert any(one.clip for one in used) == bool(CARDS.clippings)


def test_every_case_fits_its_cards_and_can_be_read():
    for number, case in enumerate(DRAWN, 1):
        CARDS.check(case)
        assert case.title.startswith(f"#{number} ")
        said, _, numbers = case.title.partition("; ")
        assert all(node.op in said for _, node in case.network.operations())
        assert numbers.startswith(f"{case.regime}, {case.dtype}")
        assert len(case.title) < 250


def test_special_values_are_told_and_are_mild():
    told = {kind for case in DRAWN for kind in facts(case).specials}
    assert len(told) > 3
    assert told.isdisjoint(EXTREME)
    assert all(facts(case).specials == list(dict.fromkeys(case.specials)) for case in DRAWN)


def extreme_verdicts(one, cards=CARDS):
    return Counter(finding_of(case, cards, one).verdict for case in stream(cards, 60, extreme=True))


def test_an_extreme_stream_goes_to_the_edges_and_a_correct_program_passes():
    drawn = list(stream(CARDS, 60, extreme=True))
    assert {kind for case in drawn for kind in facts(case).specials} >= {*EXTREME, *NON_FINITE}
    assert unusual(drawn)
    assert drawn[0].id == next(stream(CARDS, 1, extreme=True)).id
    found = extreme_verdicts(NumpyImplementation())
    assert set(found) <= {*FINE, "undecided"}
    assert found["exact"] + found["rounding"] > 20


def test_what_overflows_is_found_in_an_extreme_stream():
    """exp(x) / (1 + exp(x)) as the gate: inf / inf far right."""
    few = Cards.of(CARDS.operations[name] for name in ("dense", "silu", "squared_error"))
    mutant = Mutant("silu_overflows", "silu", "1 / (1 + np.exp(-x))", "np.exp(x) / (1 + np.exp(x))", "overflow")
    planted = NumpyImplementation(cards=mutated_cards(mutant, few))
    assert "non-finite" in extreme_verdicts(planted, few)


def test_a_card_that_nothing_fits_stops_nothing_and_shows_as_never_tested():
    def refuses(inputs, params, **hypers):
        raise Misfit("fits nothing")

    like = next(card for card in CARDS.operations.values() if card.kind == "layer")
    picky = replace(like, name="picky", output_shape=refuses, params=(), optional_params=(), param_shapes=None)
    cards = replace(CARDS, operations={**CARDS.operations, "picky": picky})
    drawn = list(stream(cards, 20))
    assert len(drawn) == 20
    assert "layers: picky" in count(drawn, cards).never()


def test_an_optimizer_without_a_step_is_not_tested():
    trained = next(case for case in DRAWN if case.steps)
    assert facts(trained).optimizer == trained.optimizer.name
    assert facts(replace(trained, steps=0)).optimizer == ""
