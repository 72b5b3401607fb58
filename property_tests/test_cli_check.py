"""The commands that try one card, and that make a case small."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from harness import Cards, Case, installed_cards
from harness.campaign.card_check import extent
from harness.case import Dtype
from harness.cli import main
from harness.cli_check import DTYPES
from harness.generate.cases import cases, sample
from harness.mutants import card_mutants, mutated_cards
from harness.spec import Mistake

CARDS = installed_cards()
PLANTED = """
import reference_impls.numpy_impl
from harness.mutants import EXECUTOR_MUTANTS, mutated_module

MUTANT = next(one for one in EXECUTOR_MUTANTS if one.name == "last_contribution_wins")

class Planted(mutated_module(MUTANT, reference_impls.numpy_impl).NumpyImplementation):
    name = "planted"

class Broken:
    name = "broken"
    def run(self, case):
        if any(node.op == "dense" for node in case.network.nodes):
            raise RuntimeError(f"on purpose, {len(case.values)} arrays")
        raise ValueError("another crash")
"""
NUMPY_ALONE = ("--without", "torch", "--without", "jax")


def invoke(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "culprits.py").write_text(PLANTED)
    monkeypatch.delitem(sys.modules, "culprits", raising=False)
    return tmp_path


def with_card(monkeypatch: pytest.MonkeyPatch, cards: Cards) -> None:
    monkeypatch.setattr("harness.registry.installed_cards", lambda: cards)


def test_a_right_card_passes_in_the_dtypes_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Case] = []
    from harness.campaign import card_check

    real = card_check.finding_of
    monkeypatch.setattr(card_check, "finding_of", lambda case, *more: drawn.append(case) or real(case, *more))
    result = invoke("check", "relu", "--cases", 6, "--dtype", "float16")
    assert result.exit_code == 0, result.output
    assert {case.dtype for case in drawn} == {"float16"}
    assert [line.split()[0] for line in result.stdout.splitlines()[:3]] == ["jax", "numpy", "torch"]
    assert result.stdout.count("found after") == len(CARDS.operation("relu").mistakes)
    assert "0 wrong verdicts, 0 mistakes not found" in result.stdout


def test_the_dtypes_are_those_of_a_case() -> None:
    assert get_args(Dtype) == DTYPES


def test_a_wrong_card_does_not_pass_and_its_cases_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = next(one for one in card_mutants(CARDS) if one.name == "relu_gate_inverted")
    wrong = replace(mutated_cards(gate, CARDS).operation("relu"), mistakes=())
    with_card(monkeypatch, CARDS.replacing(wrong))
    result = invoke("check", "relu", "--cases", 8, "--keep", tmp_path / "kept")
    assert result.exit_code == 1
    assert "torch disagrees with the exact value" in result.stdout
    kept = [Case.from_json(path.read_bytes()) for path in (tmp_path / "kept").iterdir()]
    assert kept
    assert all(any(node.op == "relu" for _, node in case.network.operations()) for case in kept)


def test_a_mistake_that_changes_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Mistake("relu_same", "np.where(alive, dy, 0)", "np.where(~alive, 0, dy)", "none at all")
    card = replace(CARDS.operation("relu"), mistakes=(none,))
    with_card(monkeypatch, CARDS.replacing(card))
    result = invoke("check", "relu", "--cases", 2)
    assert result.exit_code == 1
    assert "NOT FOUND" in result.stdout


def test_a_card_that_is_not_there_is_named() -> None:
    result = invoke("check", "rleu")
    assert result.exit_code == 2
    assert "no card is called 'rleu'; there are: absolute_error" in result.output


def shared_twice() -> Case:
    """A case with a parameter or node of several uses, larger than it needs to be."""
    drawn = sample(cases(CARDS, share=True, min_depth=3, regimes=("he",), max_steps=0, specials=()), 40, seed=3)
    return max(drawn, key=extent)


def test_a_case_becomes_small_and_keeps_its_fault(elsewhere: Path) -> None:
    large = shared_twice()
    (elsewhere / "large.json").write_bytes(large.to_json())
    plant = ("--impl", "culprits:Planted", *NUMPY_ALONE)
    result = invoke("shrink", "large.json", *plant, "-o", "small.json")
    assert result.exit_code == 1, result.output
    small = Case.from_json((elsewhere / "small.json").read_bytes())
    assert extent(small) < (4, 12)
    assert f"{extent(large)[0]} operations" in result.stderr
    assert "planted disagrees with the exact value" in result.stderr
    assert invoke("explain", "small.json", *plant).exit_code == 1
    assert invoke("explain", "small.json", *NUMPY_ALONE).exit_code == 0
    again = invoke("shrink", "small.json", *plant)
    assert extent(Case.from_json(json.dumps(json.loads(again.stdout)))) <= extent(small)


def test_a_crash_becomes_small(elsewhere: Path) -> None:
    few = Cards.of(CARDS.operations[name] for name in ("dense", "relu", "value"))
    large = sample(cases(few, featuring="dense", min_depth=2, widths=(3,), max_steps=0), 1)[0]
    (elsewhere / "large.json").write_bytes(large.to_json())
    result = invoke("shrink", "large.json", "--impl", "culprits:Broken", *NUMPY_ALONE)
    assert result.exit_code == 1, result.output
    small = Case.from_json(result.stdout)
    assert extent(small) < extent(large)
    assert [node.op for node in small.network.nodes] == ["dense"]


def test_what_is_right_is_not_made_small(elsewhere: Path) -> None:
    result = invoke("shrink", "scalar-net/code", *NUMPY_ALONE)
    assert result.exit_code == 5
    assert "Nothing is wrong with this case" in result.stderr
