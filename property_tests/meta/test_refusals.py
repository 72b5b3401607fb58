"""What is refused says what was needed, what came, and where: of cases, cards, implementations, stores and scripts."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import (
    Cards,
    Case,
    CaseError,
    GradparityError,
    HyperSpec,
    Misfit,
    Network,
    Node,
    OptimizerSpec,
    Quantity,
    TensorSpec,
    Trace,
    implementation,
    installed_cards,
)
from harness.campaign.records import CaseRecord, RunRecord
from harness.campaign.reproducer import gravest_finding, script
from harness.campaign.store import Store, read_run
from harness.cli import main
from harness.errors import RegistryError, StoreError
from harness.mutants import Mutant, mutated_cards
from harness.registry import installed_implementations
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
NUMPY = NumpyImplementation()


def a_case(samples: int = 1, **changes: Any) -> Case:
    network = Network(
        inputs={"x": TensorSpec([samples, 2])},
        params={"W": TensorSpec([2, 1])},
        nodes=[Node("y", "dense", ["x"], {"W": "W"})],
        loss=[Node("L", "value", ["y"])],
    )
    return Case(**{"network": network, "values": {"x": np.ones((samples, 2)), "W": [[0.5], [0.25]]}, **changes})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"x": np.ones((2, 2))}, r"\$.values.x: needs shape \(1, 2\), as the network says, got \(2, 2\)"),
        ({"x": np.ones((1, 2), complex)}, r"\$.values.x: needs float64, got complex128"),
        ({"x": np.array([["a", "b"]])}, r"\$.values.x: needs float64, got <U1"),
    ],
)
def test_an_array_that_is_no_input(values: dict[str, Any], says: str) -> None:
    with pytest.raises(CaseError, match=says):
        a_case(values={**a_case().values, **values})


@pytest.mark.parametrize("name", ["", "a\nb", "n" * 101])
def test_a_name_that_cannot_be_shown(name: str) -> None:
    with pytest.raises(CaseError, match="needs a printable name of 1 to 100 characters, got "):
        Network(inputs={name: TensorSpec([1])}, loss=[Node("L", "value", [name])]).check()


def test_a_parameter_of_whole_numbers() -> None:
    network = Network(params={"w": TensorSpec([1], "int64")}, loss=[Node("L", "value", ["w"])])
    with pytest.raises(CaseError, match=r"\$.network.params.w.dtype: a parameter has the case's dtype"):
        network.check()


@pytest.mark.parametrize(
    ("op", "dtype", "needs"), [("embedding", "case", "whole numbers, an input or "), ("dense", "int64", "real numbers")]
)
def test_indices_and_numbers_do_not_stand_for_each_other(op: str, dtype: Any, needs: str) -> None:
    network = Network(
        inputs={"x": TensorSpec([2, 2], dtype)},
        params={"W": TensorSpec([2, 2])},
        nodes=[Node("y", op, ["x"], {"W": "W"})],
        loss=[Node("L", "value", ["y"])],
    )
    with pytest.raises(CaseError, match=rf"nodes\[0\].inputs\[0\]: {op}: \w+ needs {needs}.*, which 'x' has not"):
        CARDS.check(Case(network, {"x": [[0, 1], [1, 0]], "W": [[0.0, 1.0], [1.0, 0.0]]}))


@pytest.mark.parametrize(
    ("spec", "value", "says"),
    [
        (HyperSpec(default=(1,)), 3, "needs a list of whole numbers, got 3"),
        (HyperSpec(default=(1,)), (1, 0.5), r"needs a list of whole numbers, got \(1, 0.5\)"),
        (HyperSpec(default=2), 2.0, "needs a whole number, got 2.0"),
        (HyperSpec(default=1, choices=(1, 2)), 1.0, "needs a whole number, got 1.0"),
        (HyperSpec(typical=(1, 2)), True, "needs a whole number, got True"),
        (HyperSpec(default=0.5), "half", "needs a number, got 'half'"),
        (HyperSpec(default=0.5), True, "needs a number, got True"),
        (HyperSpec(default=0.5), float("nan"), "needs a number, got nan"),
    ],
)
def test_a_hyperparameter_of_another_kind(spec: HyperSpec, value: Any, says: str) -> None:
    with pytest.raises(Misfit, match=says):
        spec.check(value)


def test_what_is_no_card() -> None:
    with pytest.raises(RegistryError, match=r"needs cards \(Operation, .*\), got 3"):
        Cards.of([3])  # type: ignore[list-item]


class Nameless:
    name = ""

    def run(self, case: Case) -> Trace:
        return NUMPY.run(case)


@pytest.mark.parametrize("made", [lambda: 5, lambda: None, Nameless])
def test_a_factory_that_makes_no_implementation(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("property_tests.meta.test_refusals.FACTORY", made, raising=False)
    with pytest.raises(RegistryError, match=r"FACTORY needs a `name` and a `run\(case\)`, got "):
        implementation("property_tests.meta.test_refusals:FACTORY")


def test_two_implementations_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("numpy", f"some.module:{which}", "gradparity.implementations") for which in "AB"]
    monkeypatch.setattr("harness.registry.entry_points", lambda group: twice)
    with pytest.raises(RegistryError, match="two installed implementations are called 'numpy': uninstall or rename"):
        installed_implementations()


def test_leaving_out_what_is_not_there() -> None:
    result = CliRunner().invoke(main, ["calibrate", "--without", "nothing"])
    assert (result.exit_code, "--without nothing: no installed implementation" in result.output) == (2, True)


def test_a_store_of_a_run_that_never_began(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(StoreError, match=r"empty\.sqlite holds no run: it was stopped before it began"):
        read_run(tmp_path / "empty.sqlite")


def test_a_store_of_another_version(tmp_path: Path) -> None:
    with Store(tmp_path / "old.sqlite") as store:
        store.describe(RunRecord(schema="gradparity-run-0", started="2026-01-01T00:00:00+00:00"))
    with pytest.raises(StoreError, match=r"old\.sqlite was written as 'gradparity-run-0'; this version reads 'gradpar"):
        read_run(tmp_path / "old.sqlite")


HIDDEN = """
from harness.spec import Operation, elementwise

def output_shape(inputs, params):
    return inputs[0]

def numpy_forward(p, x):
    return 2 * x, ()

def numpy_backward(p, saved, dy):
    return (2 * dy,), {}

def make():
    return Operation(
        name="hidden", kind="layer", summary="2 x", inputs=("x",), output_shape=output_shape,
        numpy_forward=numpy_forward, numpy_backward=numpy_backward,
    )
"""


def test_a_card_that_its_module_does_not_name_has_no_mutants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hidden_card.py").write_text(HIDDEN)
    monkeypatch.syspath_prepend(tmp_path)
    hidden = import_module("hidden_card").make()
    mutant = Mutant("halved", "hidden", "2 * dy", "dy", "the factor forgotten")
    with pytest.raises(GradparityError, match="mutant halved: its module makes 0 cards called 'hidden'"):
        mutated_cards(mutant, Cards.of([hidden]))


def test_a_record_without_findings_has_no_script() -> None:
    with pytest.raises(GradparityError, match="nothing ran, so there is nothing to reproduce"):
        gravest_finding(CaseRecord(id="1", title="", verdict="exact", headline="", dtype="float64", steps=0))


class Forgetful:
    """Keeps no parameters but those it began with."""

    name = "forgetful"

    def run(self, case: Case) -> Trace:
        trace = NUMPY.run(case)
        kept = {quantity: array for quantity, array in trace.quantities.items() if quantity.kind != "param"}
        return replace(trace, quantities=kept)


@pytest.mark.parametrize(
    ("samples", "quantity", "one", "says"),
    [
        (0, Quantity(0, "grad", "x"), NUMPY, "grad x at step 0 has no elements, so there is no number to show"),
        (1, Quantity(1, "grad", "W"), Forgetful(), "the parameters at step 1 were not recorded"),
        (1, Quantity(2, "param", "W"), Forgetful(), "what param W at step 2 was computed from was not recorded"),
        (1, Quantity(0, "param", "W"), NUMPY, "what param W at step 0 was computed from was not recorded"),
    ],
)
def test_a_script_of_what_is_not_known(samples: int, quantity: Quantity, one: Any, says: str) -> None:
    case = a_case(samples, optimizer=OptimizerSpec("sgd"), steps=2)
    with pytest.raises(GradparityError, match=says):
        script(case, CARDS, quantity, [one])


def test_a_script_says_which_framework_a_card_lacks() -> None:
    cards = CARDS.replacing(replace(CARDS.operation("dense"), torch_forward=None))
    text = script(a_case(), cards, Quantity(0, "grad", "W"), [NUMPY, implementation("torch")])
    assert "torch is not shown: the card 'dense' has no torch_forward" in text
    assert "def by_numpy" in text
    assert "def by_torch" not in text
