"""A user's own implementation joins from a file of theirs, by name, and agrees."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import Case, Network, Node, NotSupportedError, OptimizerSpec, TensorSpec, implementation

SOURCE = Path(__file__).with_name("hips_autograd_impl.py")


@pytest.fixture
def hips(tmp_path, monkeypatch):
    """The file in a folder of its own, found the way a user's module is found."""
    shutil.copy(SOURCE, tmp_path / "my_implementation.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_implementation", raising=False)
    return implementation("my_implementation:HipsAutograd")


def integer_case(dtype="float64", loss="squared_error", optimizer="sgd"):
    """Every intermediate result is a small multiple of 1/4, so every correct program gets the same bits."""
    network = Network(
        inputs={"x": TensorSpec([2, 2])},
        constants={"t": TensorSpec([2, 2])},
        params={"W": TensorSpec([2, 2]), "b": TensorSpec([2])},
        nodes=[
            Node("z", "dense", ["x"], {"W": "W", "b": "b"}),
            Node("h", "relu", ["z"]),
            Node("y", "dense", ["h"], {"W": "W", "b": "b"}),
            Node("sum", "add", ["y", "h"]),
        ],
        loss=[Node("L", loss, ["sum", "t"])],
    )
    values = {
        "x": np.array([[1, 2], [-1, 3]]),
        "t": np.array([[4, -2], [0, 1]]),
        "W": np.array([[1, -2], [2, 1]]),
        "b": np.array([1, -1]),
    }
    return Case(network, values, dtype, OptimizerSpec(optimizer, {"lr": 0.25}), steps=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_exactly_on_integers(hips, dtype):
    case = integer_case(dtype)
    theirs = hips.run(case)
    assert len(theirs.quantities) == 3 * (1 + 2 + 2)
    for name in ("numpy", "torch", "jax"):
        ours = implementation(name).run(case)
        np.testing.assert_array_equal(theirs.losses, ours.losses, strict=True)
        for quantity, array in theirs.quantities.items():
            np.testing.assert_array_equal(array, ours.quantities[quantity], err_msg=str(quantity), strict=True)


@pytest.mark.parametrize("change", [{"loss": "binary_cross_entropy_with_logits"}, {"optimizer": "adam"}])
def test_says_what_it_does_not_implement(hips, change):
    with pytest.raises(NotSupportedError, match=f"hips: no .*{next(iter(change.values()))}"):
        hips.run(integer_case(**change))


def test_a_wrong_fourth_column_is_seen(hips, monkeypatch):
    monkeypatch.setitem(sys.modules["my_implementation"].OPERATIONS, "relu", lambda p, x: x)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        test_agrees_exactly_on_integers(hips, "float64")
