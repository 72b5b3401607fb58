"""Correct programs that were once called wrong, or could not be judged, each with what the bound had left out.

A new one is added as a case file, together with the explanation and the change that covers it: never by loosening.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness.judge.local
import harness.judge.oracle
from harness import Case, compare, implementation, installed_cards
from harness.campaign.records import CaseRecord

FOLDER = Path(__file__).parent / "explained"
VERDICTS = {
    # XLA computes dr2 = dz3 W3ᵀ again, with a fused multiply-add, inside the sum dr1 = dr2 + dz2 W2ᵀ.
    "recomputed-in-a-sum-over-uses": {"rounding"},
    # XLA computes the loss's 2d/n again inside the sum for a bias; an identity, which rounds nothing, is between them.
    "recomputed-through-an-identity": {"rounding"},
    # XLA computes the cross-entropy's slope again behind a PReLU, and takes the other of its slopes at 0.
    "recomputed-at-a-tie": {"convention"},
    # q rounds to 1, so dq is infinite and dz = infinity times 0: nothing can be said, least of all that 0 is right.
    "zero-times-infinity": {"ill-conditioned", "crash", "undecided"},
    # XLA fuses the product of an L2 penalty into the sum of the loss's terms.
    "penalty-fused-into-the-total": {"rounding"},
    # torch writes log(1 + exp z) as z + log(1 + exp -z): of a small loss no digit is left.
    "small-loss-by-cancellation": {"rounding"},
    # A ReLU of tanh(k) - tanh(k): exactly 0, and no number of bits shows it.
    "tie-that-no-precision-proves": {"rounding", "undetermined branch"},
}
THREE = [implementation(name) for name in ("numpy", "torch", "jax")]


def judged(name: str) -> CaseRecord:
    return compare(Case.from_json((FOLDER / f"{name}.json").read_bytes()), THREE)


def test_every_file_is_judged() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_what_was_explained_is_not_called_wrong_again(name: str) -> None:
    record = judged(name)
    assert {finding.verdict for finding in record.findings} & {"mismatch", "non-finite"} == set(), record.headline
    assert record.verdict in VERDICTS[name], record.headline


@pytest.mark.parametrize("name", ["recomputed-in-a-sum-over-uses", "recomputed-through-an-identity"])
def test_without_the_allowance_jax_is_accused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.judge.local._Watched, "summed", lambda watched: [])
    assert judged(name).verdict == "mismatch"


def test_without_the_allowance_on_both_sides_of_a_tie_jax_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_one_side(watched: Any, name: str, radii: Any) -> Any:
        return watched._expected(watched._loosened(name, radii), [])

    monkeypatch.setattr(harness.judge.local._Watched, "allowing_recomputation", on_one_side)
    assert judged("recomputed-at-a-tie").verdict == "mismatch"


def test_without_the_allowance_for_terms_jax_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(watched: Any, of_values: Any) -> Any:
        return of_values["loss"]

    monkeypatch.setattr(harness.judge.local._Watched, "total_of_recomputed_terms", strict)
    assert judged("penalty-fused-into-the-total").verdict == "mismatch"


def test_without_its_variant_torch_is_accused() -> None:
    case = Case.from_json((FOLDER / "small-loss-by-cancellation.json").read_bytes())
    card = installed_cards().operation("binary_cross_entropy_with_logits")
    strict = installed_cards().replacing(replace(card, variants=card.variants[1:]))
    record = compare(case, THREE, strict)
    assert [finding.verdict == "mismatch" for finding in record.findings] == [False, True, False]


def test_without_settling_the_tie_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    never: Any = 2 * harness.judge.oracle.MOST_BITS
    monkeypatch.setattr(harness.judge.oracle, "ENOUGH_FOR_TIES", never)
    assert judged("tie-that-no-precision-proves").verdict == "undecided"
