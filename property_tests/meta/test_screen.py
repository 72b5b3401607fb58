"""Screening: a block has the verdicts of its traces, what is shared is shared rightly, and shortcuts change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import Case, Network, Node, NotSupportedError, Quantity, TensorSpec, Trace, implementation, installed_cards
from harness.arrays import ErrorModel, exactness
from harness.arrays.blocks import BlockArray, centre_share, wider_type
from harness.arrays.bounded import ABSORBING
from harness.generate import cases, sample
from harness.judge import screen as screening
from harness.judge.expected import Expected
from harness.judge.judge import PASSING
from harness.judge.screen import Screening, screen

CARDS = installed_cards()
NUMPY, TORCH = implementation("numpy"), implementation("torch")


def spoiled(trace: Trace, factor: float = 1.001) -> Trace:
    """With one element of every other quantity changed."""
    arrays = {quantity: np.array(array) for quantity, array in trace.quantities.items()}
    for array in list(arrays.values())[::2]:
        array.reshape(-1)[:1] *= array.dtype.type(factor)
    return replace(trace, quantities=arrays)


def copied(case: Case) -> Case:
    return replace(case, values={name: array.copy() for name, array in case.values.items()})


def blocks() -> Iterator[tuple[Case, list[Trace]]]:
    for case in sample(cases(CARDS, max_steps=0, max_depth=4), 24, seed=5):
        with np.errstate(all="ignore"):
            traces = [NUMPY.run(case), spoiled(NUMPY.run(case))]
            try:
                traces.append(TORCH.run(case))
            except NotSupportedError:
                traces.append(NUMPY.run(case))
        if len({frozenset(trace.quantities) for trace in traces}) == 1:
            yield case, traces


def differ(case: Case, one: Screening, other: Screening, number: int) -> list[str]:
    """The quantities on which the first of one block and some trace of another are not judged alike.

    BLAS and `np.sum` may add up in another order, so centres, and with them the radii that hold two of them, are the
    same but for the share of a radius that a centre may be off. Where another trace of the block is wrong, a sum is
    judged again, under a larger radius.
    """
    model = ErrorModel.of(case.dtype)
    share = centre_share(model, wider_type(model))
    found = []
    for quantity, first in one.judged.items():
        second = other.judged[quantity]
        r, s = first.radius[0], second.radius[number]
        other_verdicts = first.comparison.verdicts[0] != second.comparison.verdicts[number]
        if other_verdicts.any() or not (s >= r * (1 - 2 * share)).all():
            found.append(str(quantity))
    return found


def test_a_block_judges_as_its_traces_alone_whether_they_share_a_case_or_not():
    wrong = 0
    for case, traces in blocks():
        together = screen([case] * 3, CARDS, traces)
        apart = screen([copied(case) for _ in traces], CARDS, traces)
        alone = [screen([case], CARDS, [trace]) for trace in traces]
        for number, one in enumerate(alone):
            assert not differ(case, one, together, number), case.title
            assert not differ(case, one, apart, number), case.title
        assert together.suspicious() == apart.suspicious() == [n for n, one in enumerate(alone) if one.suspicious()]
        wrong += 1 in together.suspicious() and bool(differ(case, alone[0], together, 1))
    assert wrong >= 15  # the planted mistakes are seen, and `differ` sees that they differ from the rest


def labelled() -> Case:
    """A hinge on labels: its masks come of whole numbers, which have no cases in front."""
    network = Network(
        inputs={"x": TensorSpec([3])},
        constants={"t": TensorSpec([3], "int64")},
        loss=[Node("L", "hinge", ["x", "t"])],
    )
    return Case(network, {"x": np.array([0.3, -0.4, 2.0]), "t": np.array([1, -1, -1])})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_mask_of_labels_has_no_cases_in_front(count: int) -> None:
    """With as many cases as labels, the mask of one case has the shape of a mask of all."""
    case, place = labelled(), Quantity(0, "grad", "x")
    each = [replace(case, values={**case.values, "x": case.values["x"] * (1 + n)}) for n in range(count)]
    traces = [NUMPY.run(one) for one in each]
    assert screen(each, CARDS, traces).suspicious() == []
    grad = traces[-1].quantities[place][::-1].copy()
    traces[-1] = replace(traces[-1], quantities={**traces[-1].quantities, place: grad})
    assert screen(each, CARDS, traces).suspicious() == [count - 1]


def test_only_what_is_the_very_same_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    case = labelled()
    each = [case, replace(case, values={**case.values, "x": case.values["x"] * 2})]
    traces = [NUMPY.run(one) for one in each]
    assert screen(each, CARDS, traces).suspicious() == []
    monkeypatch.setattr(screening, "_stacked", lambda arrays: arrays[0][None])
    assert screen(each, CARDS, traces).suspicious() == [1]


def test_a_choice_between_scalars_by_a_mask_of_labels():
    model, mask = ErrorModel.of("float32"), np.array([True, False])
    y = BlockArray.block(np.array([1.0, 2.0]), model)
    assert np.where(mask, y, -y).centre.tolist() == [[1, -1], [2, -2]]
    assert np.where(y > 1.5, y, -y).centre.tolist() == [-1, 2]
    assert ((y > 1.5) * y).centre.tolist() == [0, 2]


MOST = float(np.finfo(np.float32).max)
NUMBERS = st.floats(width=32) | st.sampled_from([MOST, -MOST, 0.0, np.inf, np.nan, 1.0])
WIDE = NUMBERS | st.sampled_from([MOST * (1 + 2.0**-25), MOST * (1 + 2.0**-20)])
RADII = st.floats(0) | st.just(0.0)


@given(st.lists(st.tuples(NUMBERS, WIDE, RADII), min_size=1, max_size=4))
def test_what_holds_at_once_passes_element_by_element(drawn: list[tuple[float, float, float]]) -> None:
    value, centre, radius = (np.array(column) for column in zip(*drawn, strict=True))
    expected, value = Expected(centre, radius, centre, centre), value.astype(np.float32)
    if expected.holds(value):
        assert np.isin(expected.compare(value).verdicts, PASSING).all()


def test_what_does_not_pass_does_not_hold():
    """The first test alone would not do: here |error| is within the radius, and the verdict is another."""
    for value, centre, radius in ((MOST, MOST * (1 + 2.0**-20), 1e36), (1.0, 1.5, np.inf), (np.inf, 1.0, np.inf)):
        x, c, r = np.float32([value]), np.array([centre]), np.array([radius])
        assert (np.abs(x - c) <= r).all()
        assert not Expected(c, r, c, c).holds(x)
        assert not np.isin(Expected(c, r, c, c).compare(x).verdicts, PASSING).all()


FACTORS = st.one_of(
    st.floats(-4, 4, width=32), st.integers(-9, 9).map(float), st.sampled_from([0.0, 1e300, np.inf, np.nan, 2.0**-600])
)


def matrices(draw: st.DataObject) -> tuple[np.ndarray, np.ndarray]:
    rows, inner, columns = (draw.draw(st.integers(1, 6)) for _ in range(3))
    numbers = draw.draw(st.lists(FACTORS, min_size=(rows + columns) * inner, max_size=(rows + columns) * inner))
    split = rows * inner
    return np.array(numbers[:split]).reshape(rows, inner), np.array(numbers[split:]).reshape(inner, columns)


def by_the_rule(a: np.ndarray, b: np.ndarray, model: ErrorModel) -> np.ndarray:
    """`exactness.exact_products` with no look at a few terms first."""
    none_a, none_b, size = np.zeros(a.shape), np.zeros(b.shape), np.abs(a) @ np.abs(b)
    q = exactness._common(a, none_a, -1) + exactness._common(b, none_b, -2)
    return exactness._fits(size, q, model.u, model.tiny)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@given(st.data())
def test_a_look_at_a_few_terms_loses_no_exact_product(dtype: str, draw: st.DataObject) -> None:
    model, (a, b) = ErrorModel.of(dtype), matrices(draw)
    with np.errstate(all="ignore"):
        size = np.abs(a) @ np.abs(b)
        found = exactness.exact_products(a, np.zeros(a.shape), b, np.zeros(b.shape), size, model.u, model.tiny)
        assert np.array_equal(np.broadcast_to(found, size.shape), by_the_rule(a, b, model))


def test_one_digit_less_would_lose_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """13 and 13 digits may still multiply exactly into 24: 4097 and 4095 do, as their product is 2^24 - 1."""
    model, a, b = ErrorModel.of("float32"), np.array([[4097.0]]), np.array([[4095.0]])
    none = np.zeros((1, 1))
    assert by_the_rule(a, b, model).all()
    assert exactness.exact_products(a, none, b, none, a @ b, model.u, model.tiny).all()
    real = exactness._has_few
    monkeypatch.setattr(exactness, "_has_few", lambda x, digits: real(x, digits - 2))
    assert not exactness.exact_products(a, none, b, none, a @ b, model.u, model.tiny).any()


@given(st.floats(2.0**-900, 2.0**900), st.floats(0, 1))
def test_what_is_absorbed_changes_no_bit(r: float, share: float) -> None:
    for kind in (np.float64, np.longdouble):
        large, small = kind(r), share * r * ABSORBING
        assert large + small == large
    assert r + r * 2.0**-51 != r  # and what is not so small does
