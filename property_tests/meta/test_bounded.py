"""Bounded arrays: every correct evaluation lies within the radius of the exact value, and not far inside it.

The evaluations run the same source, over float arrays that sum in a drawn order and take their functions
from NumPy, torch or JAX. Their own branches are forced upon the balls and upon the bounds.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from harness.arrays import (
    BallArray,
    BoundedArray,
    ErrorModel,
    NumberArray,
    choices_of,
    forcing,
    precision,
    recording,
    vocabulary,
)
from harness.arrays.bounded import FORMULAS, _finish
from harness.arrays.branches import decide
from harness.arrays.error_model import BUDGETS

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = ("float32", "float64")
M32, M64 = map(ErrorModel.of, DTYPES)
LIBRARIES = ("numpy", "torch", "jax", "written out")
ORDERS: dict[str, Callable[[list[Any]], Any]] = {
    "forward": lambda terms: reduce(operator.add, terms),
    "reversed": lambda terms: reduce(operator.add, terms[::-1]),
    "shuffled": lambda terms: reduce(operator.add, np.random.default_rng(0).permutation(np.stack(terms))),
    "pairwise": lambda terms: pairwise(terms),
    "library": lambda terms: np.sum(np.stack(terms), axis=0, dtype=terms[0].dtype),
}


def pairwise(terms: list[Any]) -> Any:
    middle = len(terms) // 2
    return terms[0] if not middle else pairwise(terms[:middle]) + pairwise(terms[middle:])


@cache
def functions(library: str) -> Callable[[str], Callable[..., Any]]:
    """A library's own elementwise functions and matmul, from NumPy arrays to NumPy arrays."""
    if library == "torch":
        import torch

        names = {"power": "pow", "negative": "neg", "divide": "div"}

        def run(name: str) -> Callable[..., Any]:
            function = getattr(torch, names.get(name, name))
            tensor = lambda v: v if isinstance(v, int | float) else torch.tensor(v.copy())  # noqa: E731
            return lambda *x: function(*map(tensor, x)).numpy()

        return run
    if library == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)

        def compiled(name: str) -> Callable[..., Any]:
            function = jax.scipy.special.erf if name == "erf" else getattr(jax.numpy, name)
            if name == "power":
                return lambda x, n: np.array(jax.jit(lambda v: function(v, n))(x))
            return lambda *x: np.array(jax.jit(function)(*x))

        return compiled
    if library == "written out":
        return lambda name: written_out if name == "logaddexp" else vocabulary.function(name)
    return vocabulary.function


def written_out(a: Any, b: Any) -> Any:
    """The logaddexp of the textbooks: another correct evaluation."""
    return np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))


class FloatArray(NumberArray):
    """Plain floats, with sums in a given order and functions from a given library."""

    _level = 0

    def __init__(self, data: Any, order: str, library: str) -> None:
        self.data, self.order, self.library = np.asarray(data), order, library
        self.shape = self.data.shape

    def _new(self, data: Any) -> FloatArray:
        return FloatArray(np.asarray(data, dtype=self.data.dtype), self.order, self.library)

    def _lift(self, x: Any) -> Any:
        return x if isinstance(x, FloatArray) else self._new(x)

    def _elementwise(self, name: str, *operands: Any) -> Any:
        values = [x.data if isinstance(x, FloatArray) else x for x in operands]
        if name == "matmul" and self.order != "library":
            return self._new(np.multiply(values[0][..., None], values[1][..., None, :, :])).total(-2)
        return self._new(functions(self.library)(name)(*values))

    def total(self, axis: int) -> Any:
        return self._new(ORDERS[self.order](list(np.moveaxis(self.data, axis, 0))))

    def _rearrange(self, arrays: Sequence[Any], move: Callable[..., Any]) -> Any:
        return self._new(move(*(x.data for x in arrays)))

    def _sum_over(self, axes: tuple[int, ...]) -> Any:
        rest = [i for i in range(self.ndim) if i not in axes]
        kept = [self.shape[i] for i in rest]
        return self._new(self.data.transpose((*rest, *axes)).reshape((*kept, -1))).total(-1)

    def _select(self, mask: Any, left: Any, right: Any) -> Any:
        return self._new(np.where(mask, left.data, right.data))

    def _isnan(self) -> Any:
        return np.isnan(self.data)

    def _compare(self, name: str, left: Any, right: Any) -> Any:
        gap = np.asarray(left.data - right.data, np.float64)
        return decide(name, np.sign(gap), gap, np.zeros(gap.shape))


Program = Callable[..., Any]


def run(program: Program, inputs: Sequence[Any], order: str, library: str, model: ErrorModel) -> Any:
    """The error of one float evaluation (at least that), the radius it is allowed, and the bounded result."""
    given_ = [np.asarray(x, model.dtype) for x in inputs]
    with recording() as events:
        value = program(*(FloatArray(x, order, library) for x in given_)).data
    choices = choices_of(events)
    with precision(250), forcing(choices):
        error = abs((BallArray.exact(value) - program(*map(BallArray.exact, given_))).data)
    lower = np.array([float(ball.abs_lower()) for ball in np.ravel(error)])
    with forcing(choices):
        bound = program(*(BoundedArray.given(x, model) for x in given_))
    return np.where(np.isnan(lower), np.inf, lower), bound.radius.ravel(), bound


def faults(program: Program, inputs: Sequence[Any], model: ErrorModel, ways: Sequence[Any]) -> int:
    """How many elements of the evaluations lie outside their radius."""
    count = 0
    for order, library in ways:
        error, radius, _ = run(program, inputs, order, library, model)
        assert not np.isnan(radius).any()
        count += int((error > radius).sum())
    return count


EVERY_WAY = [(order, "numpy") for order in ORDERS] + [("library", library) for library in LIBRARIES[1:]]

# The primitives, each on numbers of its domain; every function of the budgets has to be here.


def spread(seed: int, size: int = 4000) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], size=size)
    return signs * 10 ** rng.uniform(-3, 1.2, size), 10 ** rng.uniform(-3, 1.2, size)


SINGLE: dict[str, Program] = {
    "add": lambda a, p: a + p,
    "subtract": lambda a, p: a - p,
    "multiply": lambda a, p: a * p,
    "divide": lambda a, p: a / p,
    "power": lambda a, p: np.concatenate([p**3, p**10, a**-1, p**-2.5]),
    "matmul": lambda a, p: a.reshape(-1, 8) @ p.reshape(8, -1)[:, :20],
    "exp": lambda a, p: np.exp(a),
    "expm1": lambda a, p: np.expm1(a),
    "erf": lambda a, p: erf(a),
    "log": lambda a, p: np.log(p),
    "log1p": lambda a, p: np.log1p(p),
    "tanh": lambda a, p: np.tanh(a),
    "sqrt": lambda a, p: np.sqrt(p),
    "logaddexp": lambda a, p: np.concatenate([np.logaddexp(a, 0), np.logaddexp(a, p)]),
}


def test_every_formula_has_a_program():
    assert set(SINGLE) == set(FORMULAS)
    assert set(BUDGETS) < set(SINGLE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SINGLE)
def test_one_operation_stays_within_its_radius(name, dtype):
    assert faults(SINGLE[name], spread(1), ErrorModel.of(dtype), EVERY_WAY[-3:] + EVERY_WAY[:1]) == 0


@pytest.mark.parametrize("name", BUDGETS)
def test_a_quarter_of_a_budget_is_seen_to_be_too_little(name):
    small = {**BUDGETS, name: BUDGETS[name] / 4}
    ways = [("library", library) for library in LIBRARIES]
    program = (lambda a, p: p**-2.5) if name == "power" else SINGLE[name]
    assert sum(faults(program, spread(2), ErrorModel.of(dtype, small), ways) for dtype in DTYPES)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "matmul"])
def test_a_bound_without_its_rounding_is_seen_to_be_too_small(name, monkeypatch):
    right = FORMULAS[name]
    monkeypatch.setitem(FORMULAS, name, lambda model, *x: shrunk(right(model, *x)))
    assert faults(SINGLE[name], spread(3), M32, [("library", "numpy"), ("forward", "numpy")])


def shrunk(x: BoundedArray) -> BoundedArray:
    return BoundedArray(x.centre, x.radius * (1 / 4 if x.ndim == 1 else 1 / 40), x.model)


@pytest.mark.parametrize("name", FORMULAS)
def test_errors_of_the_operands_are_carried(name, monkeypatch):
    """Operands that are themselves off; and the same with their radii dropped, which has to be seen."""

    def program(a: Any, p: Any) -> Any:
        a, p = (x / 10 + 30 for x in (a, p))
        return SINGLE[name]((a * 1.1) * 0.7 - 0.77 * a * 0.99, (p * 1.1) * 0.7 - 0.77 * p * 0.99)

    model = ErrorModel.of("float32")
    assert faults(program, spread(4, 800), model, [("forward", "numpy"), ("library", "jax")]) == 0
    right = FORMULAS[name]

    def forgetful(model: ErrorModel, *operands: Any) -> BoundedArray:
        bare = (x if isinstance(x, int | float) else BoundedArray.given(x.centre, model) for x in operands)
        return right(model, *bare)

    monkeypatch.setitem(FORMULAS, name, forgetful)
    assert faults(program, spread(4, 800), model, [("forward", "numpy")])


# Random expressions, and networks.

STEPS: tuple[Program, ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y * 0.3,
    lambda x, y: x * y,
    lambda x, y: x / (1 + y * y),
    lambda x, y: 1 / (1 + np.exp(-x)),
    lambda x, y: np.tanh(x),
    lambda x, y: np.maximum(x, 0.01 * x),
    lambda x, y: np.where(y > 0, x, 0.5 * y),
    lambda x, y: np.abs(x) - y,
    lambda x, y: np.log1p(x * x),
    lambda x, y: np.sqrt(x * x + 0.1),
    lambda x, y: np.logaddexp(0, x),
    lambda x, y: np.clip(x, -0.5, 0.5) + y,
    lambda x, y: (x @ y.T) @ x / 4,
    lambda x, y: x - np.mean(x, axis=0, keepdims=True),
    lambda x, y: np.exp(x - np.max(x, axis=1, keepdims=True)),
    lambda x, y: x / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-3),
    lambda x, y: np.sum(x * y, axis=0) * 0.1 + x,
    lambda x, y: np.min(y, axis=0) * x,
    lambda x, y: np.expm1(np.minimum(x, y)),
)


def expression(steps: Sequence[int]) -> Program:
    def program(x: Any, y: Any) -> Any:
        for step in steps:
            x, y = STEPS[step](x, y), x
        return x

    return program


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, steps=st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_random_expressions_stay_within_the_radius(dtype, seed, steps):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(2, 3, 4))
    ways = [(order, "numpy") for order in ORDERS] + [("library", "torch")]
    assert faults(expression(steps), inputs, ErrorModel.of(dtype), ways) == 0


def network(x: Any, target: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    """Loss and all gradients of a small network, forward and backward by hand."""
    z1 = x @ w1 + b1
    h1 = np.tanh(z1)
    z2 = h1 @ w2 + b2
    h2 = np.maximum(z2, 0)
    z3 = h2 @ w3 + b3
    p = 1 / (1 + np.exp(-z3))
    loss = np.mean((p - target) ** 2)
    d3 = 2 / x.shape[0] * (p - target) * p * (1 - p)
    d2 = np.where(z2 > 0, d3 @ w3.T, 0)
    d1 = (d2 @ w2.T) * (1 - h1 * h1)
    parts = [np.reshape(loss, (1,)), d1 @ w1.T]
    parts += [part for h, d in ((x, d1), (h1, d2), (h2, d3)) for part in (h.T @ d, np.sum(d, axis=0))]
    return np.concatenate([part.ravel() for part in parts])


def weights(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    sizes = (3, 5, 4, 1)
    layers = [rng.normal(size=shape) for a, b in itertools.pairwise(sizes) for shape in ((a, b), (b,))]
    return [rng.normal(size=(6, 3)), rng.uniform(size=(6, 1)), *layers]


@pytest.mark.parametrize("dtype", DTYPES)
def test_networks_stay_within_the_radius_and_use_some_of_it(dtype, record_property):
    model = ErrorModel.of(dtype)
    used, visible = [], []
    for seed in range(8):
        for order, library in EVERY_WAY:
            error, radius, bound = run(network, weights(seed), order, library, model)
            assert (error <= radius).all()
            assert np.isfinite(radius).all()
            moving = radius > 0
            used.extend(error[moving] / radius[moving])
            nonzero = bound.centre != 0
            visible.extend(radius[nonzero] / abs(bound.centre[nonzero]))
    record_property("median error / radius", float(np.median(used)))
    record_property("median radius / value, in u", float(np.median(visible)) / model.u)
    record_property("largest error / radius", float(max(used)))
    print(dtype, np.median(used), max(used), np.median(visible) / model.u)
    tight = ErrorModel(dtype=model.dtype, u=model.u * float(np.median(used)), tiny=0.0, largest=model.largest)
    assert sum(faults(network, weights(seed), tight, EVERY_WAY) for seed in range(8)) > 0


# What is exact, is known to be exact.

X = np.array([[0.1, -0.7, 1 / 3, 0.0], [2.5, 1e-3, -9.0, 0.3]])
RNG = np.random.default_rng(5)
INTEGERS = RNG.integers(-50, 50, size=(4, 4)).astype(float)


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x + 0,
        lambda x: 0.0 - x,
        lambda x: x * 0,
        lambda x: x * 1,
        lambda x: x * 0.25,
        lambda x: x / 8,
        lambda x: x / -1,
        lambda x: -x,
        lambda x: x**1,
        lambda x: x**0,
        lambda x: np.maximum(x, 0),
        lambda x: np.minimum(x, 0.5),
        lambda x: np.clip(x, -1, 1),
        lambda x: np.abs(x),
        lambda x: np.sign(x),
        lambda x: np.where(x > 0, x, -2.0 * x),
        lambda x: x.T.reshape(2, 4)[1:, ::2],
        lambda x: np.concatenate([x, x]),
        lambda x: np.max(x, axis=0),
        lambda x: x @ np.eye(4),
        lambda x: np.eye(2) @ x,
        lambda x: x @ np.eye(4)[:, ::-1] * -2,
        lambda x: np.sum(x * np.eye(2, 4), axis=1),
        lambda x: np.exp(x * 0),
        lambda x: np.tanh(x - x),
        lambda x: np.sqrt(x * 0),
        lambda x: np.log(x * 0 + 1),
        lambda x: np.log1p(x * 0) + np.expm1(x * 0),
        lambda x: (x > 0) * x,
    ],
)
@pytest.mark.parametrize("model", [M32, M64], ids=lambda model: str(model.dtype))
def test_what_rounds_nothing_has_radius_zero(program, model):
    x = X.astype(model.dtype)
    bound = program(BoundedArray.given(x, model))
    assert (bound.radius == 0).all()
    for library in LIBRARIES:
        assert faults(program, [x], model, [("library", library)]) == 0


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x @ x,
        lambda x: np.sum(x * x, axis=0),
        lambda x: np.maximum(x @ x - 3, 0) @ x / 4,
        lambda x: np.sum((x - 0.5) ** 2) / 16,
        lambda x: np.mean(x),
    ],
)
@pytest.mark.parametrize("model", [M32, M64], ids=lambda model: str(model.dtype))
def test_the_lattice_keeps_integer_networks_exact(program, model):
    assert (program(BoundedArray.given(INTEGERS, model)).radius == 0).all()
    assert faults(program, [INTEGERS], model, EVERY_WAY) == 0


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x * 3,
        lambda x: x + 1,
        lambda x: x @ np.ones((4, 1)),
        lambda x: np.sum(x, axis=1),
        lambda x: np.mean(x),
        lambda x: x / 3,
        lambda x: np.exp(x),
        lambda x: x * 0.1,
    ],
)
@pytest.mark.parametrize("model", [M32, M64], ids=lambda model: str(model.dtype))
def test_what_rounds_has_a_radius(program, model):
    assert (program(BoundedArray.given(X.astype(model.dtype), model)).radius > 0).any()


def test_integers_too_large_for_the_format_are_not_exact():
    large = BoundedArray.given(np.array([2.0**24, 1.0, 1.0]), M32)
    assert np.sum(large).radius > 0
    assert faults(np.sum, [large.centre], M32, [(order, "numpy") for order in ORDERS]) == 0
    assert np.sum(BoundedArray.given(large.centre, M64)).radius == 0


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (lambda x: 1 / (x * 3 - x * 3), 0.1),
        (lambda x: 1 / x, 0.0),
        (np.log, 0.0),
        (np.log, -1.0),
        (lambda x: np.log1p(x), -1.0),
        (lambda x: 1 / np.sqrt(x * 1.1 - x * 1.1), 0.3),
        (lambda x: x**-2, 0.0),
        (lambda x: x**0.3, -1.0),
        (np.exp, 1000.0),
        (lambda x: x * x, 1e200),
        (lambda x: x + 1, np.inf),
        (lambda x: np.tanh(np.exp(x) - np.exp(x)), 1000.0),
        (lambda x: (np.exp(x) - np.exp(x)) * 0, 1000.0),
        (lambda x: np.clip(np.exp(x) - np.exp(x), -1, 1), 1000.0),
        (lambda x: np.sign(np.exp(x) - np.exp(x)), 1000.0),
        (lambda x: x * 0, np.nan),
        (lambda x: x @ x.T, np.array([[np.inf, -np.inf]])),
        (np.sum, np.array([np.inf, -np.inf])),
    ],
)
def test_where_nothing_can_be_said_the_radius_is_infinite(program, x):
    assert np.isinf(program(BoundedArray.given(x, M64)).radius).all()


def test_constants_are_rounded_to_the_dtype():
    for model, radii in ((M32, [2.0**-24 * 0.1, 0.0, 0.0]), (M64, [0.0, 0.0, 0.0])):
        got = BoundedArray.given(np.ones(3), model)._lift(np.array([0.1, 0.5, 3.0]))
        assert got.radius.tolist() == radii


def test_subnormals_may_be_flushed():
    small = BoundedArray.given([1e-310, 0.0], M64)
    assert (small + 0).radius[0] >= 1e-310
    assert (small * 2).radius.tolist()[1] == 0
    product = BoundedArray.given(1e-200, M64) * BoundedArray.given(1e-200, M64)
    assert product.radius > 0
    assert faults(lambda x: x * 1e35, [np.array([1e-40])], M32, EVERY_WAY) == 0


@pytest.mark.parametrize("model", [M32, M64], ids=lambda model: str(model.dtype))
def test_what_has_underflowed_for_certain_is_0_however_far_its_argument_is_off(model):
    """exp(-x^2 / 2) of a large x, whose square is off by thousands: inside is 0 times infinity."""
    x = BoundedArray.given(np.array([1e5, -3e7]) / np.sqrt(model.u * 2.0**24), model)
    square = -np.square(x * 1.1) / 2
    assert (square.radius > 750).all()
    assert (np.exp(square).radius <= 2 * model.tiny).all()
    assert np.isinf(np.exp(-square).radius).all()


# The undetermined branch.


def test_the_pre_activation_of_the_diagonal_flip_network():
    x, w, b = np.array([[1.0, 0, 1, 1]]), np.array([[0.2], [-0.3], [0.1], [-0.4]]), np.array([0.1])
    with precision(113):
        exact = BallArray.exact(x) @ BallArray.exact(w) + BallArray.exact(b)
        with recording() as events:
            np.maximum(exact, 0)
    assert exact.digits().tolist() == [["0"]]
    assert (exact.radius() == 0).all()
    assert not events[0].taken.any()
    with recording() as events:
        z = BoundedArray.given(x, M64) @ BoundedArray.given(w, M64) + BoundedArray.given(b, M64)
        np.maximum(z, 0)
    assert (z.radius > 2.8e-17).all()
    assert (abs(events[0].gap) < events[0].radius).all()


def test_an_undetermined_maximum_has_the_larger_radius_and_a_forced_one_its_own():
    blurred = BoundedArray(np.array([1e-17, 1.0, -1.0]), np.full(3, 1e-16), M64)
    assert (np.maximum(blurred, 0).radius > 0).tolist() == [True, True, False]
    below = BoundedArray(np.array([-1e-17]), np.array([1e-16]), M64)
    assert (np.maximum(below, 0).radius > 0).tolist() == [True]
    with forcing([(np.array([True] * 3), np.array([False] * 3))]):
        assert np.maximum(blurred, 0).radius.tolist()[1] == 0.0


def overwritten(name: str, formulas: Any = FORMULAS) -> bool:
    """Whether the formula changes the radius of what it is given."""
    operands = [BoundedArray(np.full((2, 2), 1.5), np.full((2, 2), 1e-3), M32) for _ in range(2)]
    taken = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "matmul": 2, "logaddexp": 2}.get(name, 1)
    more = (3.0,) if name == "power" else ()
    formulas[name](M32, *operands[:taken], *more)
    return any((one.radius != 1e-3).any() for one in operands)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_leaves_its_operands_alone(name: str) -> None:
    assert not overwritten(name)


def test_a_formula_that_hands_on_a_radius_is_seen() -> None:
    assert overwritten("copy", {"copy": lambda model, x: _finish(model, x.centre, x.radius, zero=False)})
