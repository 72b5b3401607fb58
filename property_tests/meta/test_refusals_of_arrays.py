"""What the kinds of number refuse, with what they say; and what they take that looks as if they should not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from harness.arrays import BallArray, BoundedArray, DualArray, ErrorModel, Tape, precision

exact = BallArray.exact
MODEL = ErrorModel.of("float32")


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (["a"], "dtype <U1"),
        ([1j], "dtype complex128"),
        (np.array([1, Fraction(1, 2)]), "Fraction"),
        (np.array([None]), "NoneType"),
    ],
)
def test_a_ball_is_made_of_real_numbers_alone(given: Any, got: str) -> None:
    with pytest.raises(TypeError, match=rf"BallArray\.exact needs .*, got {got}$"):
        exact(given)


def test_whole_numbers_of_any_size_and_balls_among_them_are_taken_as_they_are() -> None:
    large = 2**200 + 1
    with precision(300):
        third = exact(1) / 3
        made = exact(np.array([large, third.data[()], True]))
        assert (made - exact(np.array([large - 1, 0, 0]))).mid().tolist() == [1.0, 1 / 3, 1.0]
        assert (made.radius() > 0).tolist() == [False, True, False]


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_what_is_finite_over_an_infinity_is_zero_and_what_has_no_quotient_is_nan(infinite: float) -> None:
    finite = [3.0, -5e-324, 0.0, 1.7e308]
    for left in (exact(finite), exact(finite) / 3):
        over = left / exact(infinite)
        assert (over.mid().tolist(), over.radius().tolist()) == ([0.0] * 4, [0.0] * 4)
    none = exact([infinite, 1.0, 0.0, np.nan]) / exact([infinite, 0.0, 0.0, infinite])
    assert np.isnan(none.mid()).all()
    assert (exact(1.0) / exact(4.0)).mid() == 0.25


@pytest.mark.parametrize("dtype", ["int64", "bfloat16", "float128", ""])
def test_rounding_is_known_of_three_dtypes(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"needs float16, float32 or float64, got '{dtype}'"):
        ErrorModel.of(dtype)


MIXED: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "divide": lambda a, b: a / b,
    "matmul": lambda a, b: a @ b,
    "maximum": np.maximum,
    "less": lambda a, b: (a < b) * 1.0 * (a + b),
}


@pytest.mark.parametrize("program", MIXED.values(), ids=MIXED)
def test_a_ball_on_the_left_leaves_the_expression_to_the_kind_above_it(program: Callable[[Any, Any], Any]) -> None:
    left, right = np.array([1.0, 8.0]), np.array([2.0, 4.0])
    expected = np.asarray(program(left, right))
    for lift in (Tape().variable, lambda x: DualArray(x, exact([1.0, 1.0]))):
        above = lift(exact(right))
        made = program(exact(left), above)
        assert type(made) is type(above)
        assert made.value.mid().tolist() == expected.tolist()


def test_the_gradient_reaches_the_kind_above_with_a_ball_on_the_left() -> None:
    tape = Tape()
    x = tape.variable(exact([2.0, 4.0]))
    (slope,) = tape.gradients(np.sum(exact([1.0, 8.0]) / x), [x])
    assert slope.mid().tolist() == [-0.25, -0.5]


@pytest.mark.parametrize("turn", [1, -1])
def test_kinds_of_which_neither_is_above_the_other_do_not_mix(turn: int) -> None:
    left, right = [exact([1.0]), BoundedArray.given(np.array([1.0]), MODEL)][::turn]
    with pytest.raises(TypeError, match=f"'multiply'.*'{type(left).__name__}', '{type(right).__name__}'"):
        left * right


def test_an_array_has_the_length_of_its_first_axis_and_a_single_number_none() -> None:
    x = exact([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert len(x) == 3
    assert [row.mid().tolist() for row in x] == [[1, 2], [3, 4], [5, 6]]
    for asked in (len, list):
        with pytest.raises(TypeError, match=r"len\(\) of an array without axes"):
            asked(exact(1.0))


def test_a_gradient_is_of_what_the_same_tape_holds() -> None:
    tape, other = Tape(), Tape()
    x, y = tape.variable(exact(3.0)), other.variable(exact(3.0))
    with pytest.raises(ValueError, match="gradients of an array on another tape"):
        tape.gradients(y * y, [x])
    assert other.gradients(y * y, [y])[0].mid() == 6


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "an axis too many": (lambda x: np.sum(x, axis=2), ValueError, "axis 2 is out of bounds for array of dimension 2"),
    "one from the end": (lambda x: np.max(x, axis=(0, -3)), ValueError, "axis -3 is out of bounds for .*dimension 2"),
    "max of nothing": (lambda x: np.max(x[:0]), ValueError, r"np\.max of nothing has no value"),
    "argmin of nothing": (lambda x: np.argmin(x[:, :0], axis=1), ValueError, r"np\.min of nothing has no value"),
    "matmul by a number": (lambda x: x @ 3.0, ValueError, r"np\.matmul needs at least one axis on both sides"),
    "a number by matmul": (lambda x: 3.0 @ x, ValueError, r"np\.matmul needs at least one axis on both sides"),
    "a size too many": (lambda x: x @ np.ones((3, 1)), ValueError, r"needs matching sizes, got \(2, 2\) @ \(3, 1\)"),
    "from the left": (lambda x: np.ones((1, 3)) @ x, ValueError, r"needs matching sizes, got \(1, 3\) @ \(2, 2\)"),
    "dot of three axes": (lambda x: np.dot(x, np.ones((2, 2, 2))), TypeError, r"np\.dot beyond two axes .*; use @"),
    "pad by edges": (lambda x: np.pad(x, ((1, 1), (0, 0)), mode="edge"), TypeError, r"np\.pad is with constants here"),
    "pad all alike": (lambda x: np.pad(x, 1), TypeError, r"\(before, after\), \.\.\.\) is written out for every axis"),
}


@pytest.mark.parametrize(("program", "error", "says"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("kind", ["ball", "bounded", "tape"])
def test_what_has_no_meaning_in_the_vocabulary_says_what_does(
    kind: str, program: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    given = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = BoundedArray.given(given, MODEL) if kind == "bounded" else exact(given)
    with pytest.raises(error, match=says):
        program(Tape().variable(exact(given)) if kind == "tape" else x)
