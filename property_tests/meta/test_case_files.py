"""Case files: exact both ways, named by their content, and malformed ones refused with the place."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Cards, Case, CaseError, Network, Node, OptimizerSpec, TensorSpec, installed_cards

FLOAT64 = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
FLOAT32 = st.integers(0, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0])


def a_case(**changes: Any) -> Case:
    network = Network(
        inputs={"x": TensorSpec([1, 2])},
        constants={"t": TensorSpec([1, 1])},
        params={"W": TensorSpec([2, 1]), "b": TensorSpec([1])},
        nodes=[
            Node("z", "dense", ["x"], {"W": "W", "b": "b"}),
            Node("a", "relu", ["z"]),
        ],
        loss=[Node("L", "squared_error", ["a", "t"])],
    )
    values = {"x": [[1.0, 2.0]], "t": [[1.0]], "W": [[0.5], [0.25]], "b": [0.125]}
    whole: dict[str, Any] = {"network": network, "values": values, **changes}
    return Case(**whole)


def wire(case: Case) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(case.to_json())
    return plain


def bits_differ(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays differ in any bit; all NaNs are one number."""
    left, right = np.where(np.isnan(left), np.nan, left), np.where(np.isnan(right), np.nan, right)
    return left.dtype != right.dtype or left.tobytes() != right.tobytes()


@given(st.lists(FLOAT64, min_size=2, max_size=2))
def test_every_float64_survives(numbers: list[float]) -> None:
    case = a_case(values={**a_case().values, "x": np.array([numbers])})
    assert not bits_differ(Case.from_json(case.to_json()).values["x"], case.values["x"])


@given(st.lists(FLOAT32, min_size=2, max_size=2))
def test_every_float32_survives(numbers: list[float]) -> None:
    case = a_case(values={**a_case().values, "x": np.array([numbers], np.float32)}, dtype="float32")
    assert not bits_differ(Case.from_json(case.to_json()).values["x"], case.values["x"])


def test_the_check_for_lost_bits_sees_a_lost_bit() -> None:
    one = np.array([1.0, -0.0])
    assert bits_differ(one, np.array([1.0, 0.0]))
    assert bits_differ(one, np.array([np.nextafter(1.0, 2.0), -0.0]))
    assert bits_differ(one, one.astype(np.float32))


def test_the_id_is_the_content_and_not_the_title() -> None:
    case = a_case()
    assert replace(case, title="another name").id == case.id
    assert Case.from_json(case.to_json()).id == case.id
    changed = a_case(values={**case.values, "b": np.array([np.nextafter(0.125, 1)])})
    assert changed.id != case.id
    assert a_case(dtype="float32").id != case.id


def test_values_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        a_case().values["x"][0] = 5


def test_the_steps_that_are_recorded() -> None:
    sgd = OptimizerSpec("sgd", {"lr": 0.1})
    assert a_case().recorded == (0,)
    assert a_case(optimizer=sgd, steps=3).recorded == (0, 1, 2, 3)
    assert a_case(optimizer=sgd, steps=9, record=(5, 2)).recorded == (2, 5)
    long = a_case(optimizer=sgd, steps=10_000).recorded
    assert (long[0], long[1], long[-1]) == (0, 1, 10_000)
    assert len(long) <= 22


def put(path: str, value: Any) -> dict[str, Any]:
    """A valid case file with one field changed; `...` removes it."""
    whole = wire(a_case())
    at: Any = whole
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "place", "says"),
    [
        ("schema", "gradparity.case/99", "$.schema", "another version"),
        ("extra", 1, "$", "unknown field"),
        ("network.nodes.1.op", 5, "$.network.nodes[1].op", "Expected `str`"),
        ("network.nodes.1.inputs.0", "q", "$.network.nodes[1].inputs[0]", "'q' is not defined before this point"),
        ("network.nodes.0.inputs.0", "a", "$.network.nodes[0].inputs[0]", "'a' is not defined before this point"),
        ("network.nodes.1.inputs.0", "W", "$.network.nodes[1].inputs[0]", "'W' is not defined"),
        ("network.nodes.0.params.W", "z", "$.network.nodes[0].params.W", "'z' is not defined"),
        ("network.nodes.1.name", "z", "$.network.nodes[1].name", "defined twice"),
        ("network.nodes.1.name", "loss", "$.network.nodes[1].name", "total loss"),
        ("network.loss", [], "$.network.loss", "at least one term"),
        ("network.params.W.shape", [3, 1], "$.values.W", "needs a list of 3"),
        ("network.params.W.shape", [-1, 1], "$.network.params.W.shape", "at least 0"),
        ("network.params.W.shape", [2**40, 2**40], "$.network.params.W.shape", "elements"),
        ("values.W", ..., "$.values.W", "is missing"),
        ("values.V", [1.0], "$.values.V", "not defined"),
        ("values.W.1.0", "three", "$.values.W[1][0]", "needs a number"),
        ("values.W.1.0", None, "$.values.W[1][0]", "needs a number"),
        ("values.W.1.0", True, "$.values.W[1][0]", "needs a number"),
        ("values.W.1.0", 10**400, "$.values.W[1][0]", "too large"),
        ("values.W.1", 1.0, "$.values.W[1]", "needs a list of 1"),
        ("dtype", "float128", "$.dtype", "needs float16, float32 or float64"),
        ("steps", -1, "$.steps", "from 0"),
        ("steps", 1, "$.optimizer", "is missing"),
        ("record", [4], "$.record[0]", "from 0 to 0"),
    ],
)
def test_a_malformed_file_is_refused_with_the_place(path: str, value: Any, place: str, says: str) -> None:
    with pytest.raises(CaseError, match=says.replace("`", ".")) as refused:
        Case.from_json(json.dumps(put(path, value)))
    assert refused.value.path == place


def test_a_number_too_large_for_the_dtype_is_refused() -> None:
    whole = {**put("values.W.1.0", 1e300), "dtype": "float32"}
    with pytest.raises(CaseError, match="too large for float32"):
        Case.from_json(json.dumps(whole))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_bytes_are_the_answer_is_a_case_error(text: bytes) -> None:
    with pytest.raises(CaseError):
        Case.from_json(text)


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 100_000, b"\xef\xbb\xbf{}", b"1" * 100_000, b"NaN"])
def test_hostile_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(CaseError):
        Case.from_json(text)


@pytest.mark.parametrize(
    ("path", "value", "place", "says"),
    [
        ("network.nodes.1.op", "rely", "$.network.nodes[1].op", "no card is called 'rely'; there are: "),
        ("network.nodes.1.op", "squared_error", "$.network.nodes[1].op", "belongs in the loss"),
        ("network.loss.0.op", "relu", "$.network.loss[0].op", "belongs among the nodes"),
        ("network.nodes.1.inputs", ["z", "z"], "$.network.nodes[1].inputs", "needs 1 .x., got 2"),
        ("network.nodes.0.params.g", "W", "$.network.nodes[0].params.g", "no such role; it has: W, b"),
        ("network.nodes.0.params", {}, "$.network.nodes[0].params", "needs a parameter for the role 'W'"),
        ("network.nodes.0.hypers", {"layout": "columns"}, "$.network.nodes[0]", "needs b of shape"),
        ("network.nodes.0.hypers", {"layout": "diagonal"}, "$.network.nodes[0]", "needs one of 'rows', 'columns'"),
        ("network.nodes.0.hypers", {"speed": 1}, "$.network.nodes[0]", "no hyperparameter 'speed'"),
        ("optimizer", {"name": "sdg"}, "$.optimizer.name", "no optimizer is called 'sdg'; there are: ada"),
        ("optimizer", {"name": "sgd"}, "$.optimizer.hypers", "needs the hyperparameter 'lr'"),
        ("optimizer", {"name": "sgd", "hypers": {"lr": -1}}, "$.optimizer.hypers", "at least 0"),
    ],
)
def test_a_case_that_does_not_fit_the_cards_is_refused(path: str, value: Any, place: str, says: str) -> None:
    case = Case.from_json(json.dumps(put(path, value)))
    with pytest.raises(CaseError, match=says) as refused:
        installed_cards().check(case)
    assert refused.value.path == place


def test_the_unchanged_case_is_accepted_with_its_shapes() -> None:
    case = Case.from_json(json.dumps(wire(a_case())))
    shapes = installed_cards().check(case)
    assert (shapes["z"], shapes["L"]) == ((1, 1), ())


def test_two_cards_of_one_name_are_refused() -> None:
    card = installed_cards().operations["relu"]
    with pytest.raises(Exception, match="two cards are called 'relu'"):
        Cards.of([card, card])
