"""The kinds of number: balls enclose; tape, duals and differences agree on every word of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from harness.arrays import (
    FUNCTIONS,
    UFUNCS,
    BallArray,
    BoundedArray,
    DualArray,
    ErrorModel,
    Tape,
    UndecidedBranchError,
    choices_of,
    forcing,
    precision,
    recording,
    tape,
)
from harness.arrays.dual import PUSHES
from harness.arrays.tape import PULLS
from harness.arrays.vocabulary import function

BITS = 300
STEP = 2.0**-80
exact = BallArray.exact
SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("ball", "bounded", "dual", "tape")

# One program for each word: of two 3x4 arrays, a of mixed signs and p positive.
WORDS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, p: a + p[0] + 2.5,
    "subtract": lambda a, p: (a - p[:, :1]) * (1 - a),
    "multiply": lambda a, p: a * p * a[1],
    "divide": lambda a, p: a / p + 1 / p,
    "negative": lambda a, p: -a,
    "power": lambda a, p: a**3 + p**-2 + p**1.5 + a**2 + p**0.5 + a**1,
    "matmul": lambda a, p: (a @ p.T) @ a[:, 0] + a[0] @ p.T + np.stack([a, p]) @ p.T[:, :1][None] @ a[:1, :1],
    "exp": lambda a, p: np.exp(a),
    "expm1": lambda a, p: np.expm1(a),
    "erf": lambda a, p: erf(a),
    "log": lambda a, p: np.log(p),
    "log1p": lambda a, p: np.log1p(p),
    "tanh": lambda a, p: np.tanh(a),
    "sqrt": lambda a, p: np.sqrt(p),
    "logaddexp": lambda a, p: np.logaddexp(0, a) + np.logaddexp(a, p),
    "greater": lambda a, p: (a > 0) * a,
    "greater_equal": lambda a, p: (a >= p) * a,
    "less": lambda a, p: np.where(a < 0, a * p, 0),
    "less_equal": lambda a, p: np.where(a <= 0, a * p, p),
    "equal": lambda a, p: (a == p) * a + (a == a) * p,
    "not_equal": lambda a, p: (a != p) * a,
    "maximum": lambda a, p: np.maximum(a, 0) * np.maximum(a, p),
    "minimum": lambda a, p: np.minimum(a, 0) * np.minimum(p[0], a),
    "absolute": lambda a, p: np.abs(a) * p,
    "sign": lambda a, p: np.sign(a) * p,
    "square": lambda a, p: np.square(a),
    "reciprocal": lambda a, p: np.reciprocal(p),
    "positive": lambda a, p: +a,
    "sum": lambda a, p: np.sum(a * a, axis=0, keepdims=True) * np.sum(p, (0, -1)) + a.sum(1, keepdims=True),
    "mean": lambda a, p: np.mean(a * a, axis=-1, keepdims=True) * p.mean(),
    "var": lambda a, p: np.var(a, axis=0) * np.var(p, ddof=1) * np.var(p, axis=1, keepdims=True),
    "max": lambda a, p: np.max(a, axis=1, keepdims=True) * p.max() * np.max(p, axis=0),
    "min": lambda a, p: np.min(a, axis=(0, 1)) * p.min(axis=0),
    "amax": lambda a, p: np.amax(a, axis=1),
    "amin": lambda a, p: np.amin(a, axis=1),
    "argmax": lambda a, p: p[np.arange(3), np.argmax(a, axis=1)] + a[0, np.argmax(a[0], keepdims=True)],
    "argmin": lambda a, p: p[np.arange(3), np.argmin(a, axis=1)],
    "where": lambda a, p: np.where(a > 0, a * p, p[0]) + np.where(np.eye(3, 4) > 0, a, 0),
    "clip": lambda a, p: np.clip(a, -0.5, 0.5) * p + np.clip(p, 1, None) + np.clip(a, None, 0.25),
    "dot": lambda a, p: np.dot(a, p.T) * np.dot(a, a[0])[:, None] + np.dot(a[0], 3.0)[:3],
    "outer": lambda a, p: np.outer(a[0], p),
    "einsum": lambda a, p: np.einsum("ij,kj->ik", a, p) + np.einsum("ij->i", a)[:, None],
    "zeros_like": lambda a, p: np.zeros_like(a) + p,
    "ones_like": lambda a, p: np.ones_like(a) * p,
    "full_like": lambda a, p: np.full_like(a, 2.5) * p,
    "shape": lambda a, p: a / np.shape(a)[0] / a.shape[1],
    "ndim": lambda a, p: a / np.ndim(a) / a.ndim,
    "size": lambda a, p: a / np.size(a) / a.size,
    "reshape": lambda a, p: np.reshape(a, (2, 6)) @ p.reshape(6, 2) + p.reshape((6, 2)).reshape(-1)[4:6],
    "ravel": lambda a, p: np.ravel(a) * p.ravel(),
    "transpose": lambda a, p: np.transpose(a) @ p + a.T @ a + a.transpose(1, 0) @ p,
    "swapaxes": lambda a, p: np.swapaxes(a, 0, 1) @ p,
    "moveaxis": lambda a, p: np.moveaxis(a, 0, -1) @ p,
    "expand_dims": lambda a, p: np.expand_dims(a, 1) * p,
    "squeeze": lambda a, p: np.squeeze(a[:1], axis=0) * p,
    "broadcast_to": lambda a, p: np.broadcast_to(a[0], (5, 4)) @ p.T,
    "flip": lambda a, p: np.flip(a, axis=1) * p,
    "roll": lambda a, p: np.roll(a, 1, axis=0) * p,
    "repeat": lambda a, p: np.repeat(a, 2, axis=0) @ p.T,
    "tile": lambda a, p: np.tile(a, (2, 1)) @ p.T,
    "take": lambda a, p: np.take(a, [0, 2, 2], axis=0) * p,
    "take_along_axis": lambda a, p: np.take_along_axis(a, np.array([[1], [0], [3]]), axis=1) * p,
    "diagonal": lambda a, p: np.diagonal(a) * p[:, 0],
    "copy": lambda a, p: np.copy(a) * a.copy() * p.astype(a.dtype),
    "atleast_1d": lambda a, p: np.atleast_1d(a[0, 0]) * p,
    "atleast_2d": lambda a, p: np.atleast_2d(a[0]) * p,
    "concatenate": lambda a, p: np.concatenate([a, p[:1], a * p], axis=0) @ p.T,
    "stack": lambda a, p: np.stack([a, p, a]) * p,
    "vstack": lambda a, p: np.vstack([a, p]) @ p.T,
    "pad": lambda a, p: np.pad(a, ((1, 0), (0, 2)), constant_values=0.5)[:3, :4] * p + np.pad(p, ((0, 0), (0, 0))),
    "hstack": lambda a, p: np.hstack([a, p]) ** 2,
}


def draw(seed: int) -> tuple[Any, Any]:
    """Numbers of mixed sign away from the kinks, and positive ones; no two alike."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 4)), np.exp(rng.normal(size=(3, 4)))


def upstream(y: Any) -> Any:
    return np.random.default_rng(y.size).normal(size=y.shape)


def lift(kind: str, x: Any) -> Any:
    return {
        "ball": exact,
        "bounded": lambda x: BoundedArray.given(x, ErrorModel.of("float64")),
        "dual": lambda x: DualArray.along(x, np.ones(x.shape)),
        "tape": lambda x: Tape().variable(exact(x)),
    }[kind](x)


def derivative_faults(program: Callable[[Any, Any], Any], a: Any, p: Any) -> list[str]:
    """Where the tape, the duals and central differences disagree on one directional derivative.

    Balls that do not overlap disagree. A central difference D(h) errs by C h^2 + ..., so that
    |D(h/2) - g| <= |D(h) - D(h/2)| up to the radii: three quarters of C h^2 against one.
    """
    directions = draw(a.size + p.size)
    with precision(BITS):
        record = Tape()
        variables = [record.variable(exact(a)), record.variable(exact(p))]
        y = program(*variables)
        weights = exact(upstream(y))
        gradients = record.gradients(np.sum(y * weights), variables)
        slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
        dual = program(*(DualArray.along(x, d) for x, d in zip((a, p), directions, strict=True)))
        tangent = np.sum(dual.tangent * weights)

        def moved(h: float) -> Any:
            right, left = (
                program(*(exact(x) + step * exact(d) for x, d in zip((a, p), directions, strict=True)))
                for step in (h, -h)
            )
            return np.sum((right - left) * weights) / (2 * h)

        coarse, fine = moved(STEP), moved(STEP / 2)
        faults = []
        for name, found in (("tape", slope), ("dual", tangent)):
            spread = abs((coarse - fine).data.item()) - abs((fine - found).data.item())
            if spread < 0 or spread.is_nan():
                faults.append(f"{name} against differences: {found.digits(12)}, {fine.digits(12)}")
        if not slope.data.item().overlaps(tangent.data.item()):
            faults.append(f"tape {slope.digits(12)}, dual {tangent.digits(12)}")
    return faults


def test_every_word_has_a_program():
    assert set(WORDS) == set(UFUNCS) | set(FUNCTIONS)


@pytest.mark.parametrize("word", WORDS)
def test_tape_duals_and_differences_agree(word):
    for seed in range(3):
        assert derivative_faults(WORDS[word], *draw(seed)) == []


def off(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but for one part in 2^50."""
    return lambda *given: function(*given) * (1 + 2.0**-50)


@pytest.mark.parametrize(("name", "operand"), [(name, i) for name in PULLS for i in range(len(PULLS[name]))])
def test_a_wrong_pull_is_seen(name, operand, monkeypatch):
    pulls = list(PULLS[name])
    pulls[operand] = off(pulls[operand])
    monkeypatch.setitem(tape.PULLS, name, tuple(pulls))
    assert any(fault.startswith("tape") for fault in derivative_faults(WORDS[name], *draw(0)))


@pytest.mark.parametrize("name", PUSHES)
def test_a_wrong_push_is_seen(name, monkeypatch):
    monkeypatch.setitem(PUSHES, name, off(PUSHES[name]))
    assert any(fault.startswith("dual") for fault in derivative_faults(WORDS[name], *draw(0)))


@pytest.mark.parametrize("word", ["reshape", "take", "concatenate", "broadcast_to", "stack"])
def test_a_wrong_rearrangement_is_seen(word, monkeypatch):
    right = tape._pull_moved
    monkeypatch.setattr(tape, "_pull_moved", lambda source, shape: right(np.roll(source, 1), shape))
    assert derivative_faults(WORDS[word], *draw(0))


def test_a_wrong_unbroadcast_is_seen(monkeypatch):
    right = tape._unbroadcast
    monkeypatch.setattr(tape, "_unbroadcast", lambda g, shape: right(g, shape) * (1 + (g.shape != shape)))
    assert derivative_faults(WORDS["add"], *draw(0))


def plain(y: Any) -> Any:
    """The float64 centre of whatever kind."""
    if isinstance(y, BoundedArray):
        return y.centre
    return (y if isinstance(y, BallArray) else y.value).mid()


def floats_differ(word: str, kind: str, a: Any, p: Any) -> bool:
    """Whether a kind's centre and plain NumPy differ by more than the rounding bound of the same program."""
    given_ = [lift("tape", a), lift("tape", p)] if kind == "tape" else [lift(kind, a), lift(kind, p)]
    if kind == "tape":
        given_[1] = given_[0].tape.variable(exact(p))
    bound = WORDS[word](lift("bounded", a), lift("bounded", p)).radius
    with precision(BITS):
        got = plain(WORDS[word](*given_))
    float_ = WORDS[word](a, p)
    return got.shape != float_.shape or bool((abs(got - float_) > 2 * bound + np.spacing(abs(float_))).any())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", WORDS)
def test_every_kind_computes_what_numpy_does(word, kind):
    assert not floats_differ(word, kind, *draw(7))


def test_a_wrong_value_is_seen(monkeypatch):
    off_for_balls = lambda a, p: np.exp(a * (1 + 1e-9 * isinstance(a, BallArray)))  # noqa: E731
    monkeypatch.setitem(WORDS, "exp", off_for_balls)
    assert floats_differ("exp", "ball", *draw(7))


# Balls


REFERENCE: dict[str, Callable[..., Any]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "erf": mpmath.erf,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sqrt": mpmath.sqrt,
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
    "power": lambda a: a ** mpmath.mpf(1.5),
}


def outside(name: str, function: Callable[..., Any], xs: Any, bits: int) -> int:
    """How many balls do not contain what mpmath finds with ten times the digits."""
    import flint

    count = 2 if name == "logaddexp" else 1
    columns = [np.roll(xs, shift) for shift in range(count)]
    with precision(bits):
        balls = function(*map(exact, columns)).data
    missed = 0
    with mpmath.workprec(10 * bits), precision(10 * bits):
        for ball, *point in zip(balls, *columns, strict=True):
            value = REFERENCE[name](*map(mpmath.mpf, point))
            missed += not ball.overlaps(flint.arb(str(value)))
    return missed


BALLS = {name: function(name) for name in REFERENCE} | {"power": lambda x: x**1.5}


@pytest.mark.parametrize("name", REFERENCE)
@given(seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_balls_enclose(name, seed):
    rng = np.random.default_rng(seed)
    xs = np.exp(rng.normal(size=20) * 3)
    assert outside(name, BALLS[name], xs, 80) == 0


@pytest.mark.parametrize("name", REFERENCE)
def test_a_ball_beside_the_value_is_seen(name):
    beside = lambda *x: BALLS[name](*x) * (1 + 2.0**-50)  # noqa: E731
    assert outside(name, beside, np.array([0.5, 1.25, 3.0]), 80) == 3


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_rational_programs_enclose_the_fraction(seed):
    import flint

    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(4, 3))
    with precision(40):
        ball = (exact(a) @ exact(b) / 3 - 0.1).data
    for i, j in np.ndindex(2, 3):
        value = sum(Fraction(a[i, k]) * Fraction(b[k, j]) for k in range(4)) / 3 - Fraction(0.1)
        assert ball[i, j].contains(flint.fmpq(value.numerator, value.denominator))
        assert not ball[i, j].contains(flint.fmpq(value.numerator, value.denominator) + flint.fmpq(1, 2**20))


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 40))
def test_digits_of_an_exact_number(x, n):
    text = str(exact(x).digits(n))
    value = Fraction(text)
    if x == 0:
        assert text == "0"
    elif value != Fraction(x):
        shown = text.lstrip("-").partition("e")[0].replace(".", "").lstrip("0")
        place = Fraction(last_place(text))
        assert len(shown) == n
        assert 2 * abs(value - Fraction(x)) <= place


def last_place(text: str) -> Fraction:
    """The worth of the last digit."""
    mantissa, _, exponent = text.partition("e")
    return Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.0, "0"), (0.5, "0.5"), (100.0, "100"), (-3, "-3"), (np.nan, "nan"), (-np.inf, "-inf"), (True, "1")],
)
def test_digits_of_plain_numbers(x, text):
    assert str(exact(x).digits()) == text


def test_digits_are_those_of_the_true_value_and_no_more_than_the_ball_knows():
    with precision(113), mpmath.workdps(60):
        e = str(+mpmath.e)
        third, wide = (exact(1) / 3).digits(20).item(), np.exp(exact(1)).digits(50).item()
    assert third == "0.33333333333333333333"
    assert e.startswith(wide[:-1])
    assert 30 <= len(wide) <= 36


@given(st.integers(-(2**80), 2**80), st.integers(-80, 20), st.sampled_from(["float16", "float32", "float64"]))
@settings(max_examples=300)
def test_float_is_correctly_rounded(mantissa, exponent, dtype):
    with precision(200):
        ball = exact(np.array(mantissa, dtype=object)) * exact(2.0**exponent)
    value = Fraction(mantissa) * Fraction(2) ** exponent
    got = ball.float(dtype)[()]
    if not np.isfinite(got):
        assert abs(value) > Fraction(float(np.finfo(dtype).max))
        return
    dtype_ = np.dtype(dtype).type
    for other in (np.nextafter(got, dtype_(-np.inf)), np.nextafter(got, dtype_(np.inf))):
        if np.isfinite(other):
            assert abs(Fraction(float(got)) - value) <= abs(Fraction(float(other)) - value)


def test_double_rounding_would_be_seen():
    with precision(200):
        ball = exact(1) + exact(2.0**-24) + exact(2.0**-90)
    assert ball.float("float32") == np.float32(1 + 2.0**-23) != np.float32(ball.mid())


@pytest.mark.parametrize("kind", KINDS)
def test_infinities_and_nan_pass_without_raising(kind):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, 1.0])
    y = lift(kind, x)
    assert plain(np.exp(y)).tolist()[:2] == [np.inf, 0.0]
    assert plain(np.maximum(y, 0)).tolist()[:2] == [np.inf, 0.0]
    assert np.isnan(plain(np.maximum(y, 0))[2])
    assert plain(1 / (1 + np.exp(-y))).tolist()[:2] == [1.0, 0.0]
    assert plain(np.log(np.abs(y)))[3] == -np.inf
    assert (y > 0).tolist() == [True, False, False, False, True]
    assert np.isnan(plain(np.sign(y))[2])


# Branches


def test_a_tie_is_decided_and_a_straddling_ball_is_not():
    with precision(113):
        tie = exact([0.5]) - 0.5
        assert [(tie > 0)[0], (tie >= 0)[0], (tie == 0)[0], (tie != 0)[0]] == [False, True, True, False]
        straddling = np.log(np.exp(exact([0.1]))) - 0.1
        for program in (lambda x: x > 0, lambda x: np.maximum(x, 0), np.abs, np.sign, lambda x: x == 0):
            with pytest.raises(UndecidedBranchError):
                program(straddling)
    more = np.array([True])
    with forcing([(more, more)]):
        assert (straddling > 0)[0]
    with precision(113):
        assert (np.log(np.exp(exact([0.1]))) - 0.1 - 2.0**-90 < 0)[0]


def choosy(x: Any) -> Any:
    return np.maximum(x, 0) + np.abs(x) * np.where(x > 1, x, 0) + np.clip(x, -1, 1) + np.max(x)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_every_kind_reports_the_same_comparisons(seed):
    x = np.random.default_rng(seed).normal(size=4)
    logs = []
    for kind in KINDS:
        with recording() as outer, recording() as inner:
            choosy(lift(kind, x))
        assert [event.name for event in outer] == [event.name for event in inner]
        logs.append([(event.name, event.taken.tolist()) for event in inner])
        assert all((event.exact_gap is None) == (kind == "bounded") for event in inner)
    assert logs[0] == logs[1] == logs[2] == logs[3]
    names = ["maximum", "absolute", "greater", "clip low", "clip high", "max", "max", "max"]
    assert [name for name, _ in logs[0]] == names


@pytest.mark.parametrize("kind", KINDS)
def test_forced_branches_are_taken(kind):
    x = np.array([3.0, -2.0])
    other = (np.array([True, True]), np.array([False, True]))
    for k, program in enumerate([lambda x: np.maximum(x, 0), np.abs, lambda x: np.where(x > 0, x, 0)]):
        wanted = [[0.0, -2.0], [-3.0, -2.0], [0.0, -2.0]][k]
        with forcing([other]), recording() as events:
            assert plain(program(lift(kind, x))).tolist() == wanted
        assert events[0].taken.tolist() == [False, True]
    with forcing([None, other]):
        y = lift(kind, x)
        assert plain(np.maximum(y, 0)).tolist() == [3.0, 0.0]
        with forcing([(np.array([False, True]), np.array([False, False]))]):
            assert plain(np.maximum(y, 0)).tolist() == [0.0, 0.0]
        assert plain(np.maximum(y, 0)).tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("program", "x", "slope"),
    [
        (np.abs, 0.0, 0.0),
        (lambda x: np.maximum(x, 0), 0.0, 0.0),
        (lambda x: np.maximum(0, x), 0.0, 1.0),
        (lambda x: np.clip(x, 0, 1), 0.0, 0.0),
        (lambda x: np.logaddexp(0, x), 0.0, 0.5),
        (lambda x: np.max(np.stack([x, x * 2])), 0.0, 1.0),
    ],
)
def test_derivatives_at_kinks(program, x, slope):
    record = Tape()
    variable = record.variable(exact(x))
    assert record.gradients(program(variable), [variable])[0].mid() == slope
    assert program(DualArray.along(x, 1.0)).tangent.mid() == slope


def test_the_derivative_follows_the_forced_branch():
    always = np.array(True)
    for program in (np.abs, lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, x, 0)):
        record = Tape()
        variable = record.variable(exact(0.0))
        with forcing([(always, always)]):
            y = program(variable)
        assert record.gradients(y, [variable])[0].mid() == 1.0


# Tape


@pytest.mark.parametrize("kind", KINDS)
def test_a_tie_that_no_precision_proves_can_be_forced(kind):
    """tanh(x) - tanh(x), which is 0 to people only: the third branch of |x| has value and slope 0."""
    x = lift(kind, np.array([0.3, -0.7]))
    yes, no = np.array([True, True]), np.array([False, False])
    with precision(80), forcing([(yes, no, yes), (yes, no, yes)]), recording() as events:
        gap = np.tanh(x) - np.tanh(x)
        assert plain(np.abs(gap)).tolist() == [0.0, 0.0]
        assert plain(np.sign(gap)).tolist() == [0.0, 0.0]
    assert [event.tie.tolist() for event in events] == [[True, True]] * 2
    assert [(len(choice), choice[2].tolist()) for choice in choices_of(events)] == [(3, [True, True])] * 2


def test_gradients_of_anything_recorded():
    record = Tape()
    x, free = record.variable(exact([1.0, 2.0])), record.variable(exact([[5.0]]))
    h = x * 3
    y = np.sum(h * h)
    dx, dh, dfree, dy = record.gradients(y, [x, h, free, y])
    assert [g.mid().tolist() for g in (dx, dh, dfree, dy)] == [[18, 36], [6, 12], [[0]], 1]
    assert record.gradients(h, [x], exact([1.0, 10.0]))[0].mid().tolist() == [3.0, 30.0]
    with pytest.raises(ValueError, match="upstream"):
        record.gradients(h, [x])
    with pytest.raises(ValueError, match="holds"):
        record.gradients(y, [Tape().variable(exact(1.0))])
    with pytest.raises(ValueError, match="two tapes"):
        x + Tape().variable(exact(1.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "program",
    [
        lambda x: np.sin(x),
        lambda x: np.linalg.norm(x),
        lambda x: np.asarray(x),
        lambda x: np.add(x, 1, out=x),
        lambda x: np.multiply.outer(x, x),
        lambda x: 2.0**x,
        lambda x: np.where(x, 1, 0),
        lambda x: bool(x[0]),
        lambda x: np.einsum("...i->i", x),
    ],
)
def test_outside_the_vocabulary_is_a_type_error(kind, program):
    with pytest.raises(TypeError):
        program(lift(kind, np.ones(2)))


def test_in_place_is_refused():
    x = exact(np.ones(2))
    with pytest.raises(TypeError, match="in place"):
        x += 1
