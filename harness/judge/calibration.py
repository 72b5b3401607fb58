"""Calibration: how far the elementary functions of each implementation really are from the exact values.

The rounding bounds allow each function B units of u (`harness.arrays.bounded.BUDGETS`). This measures what an
implementation needs on this machine: the smallest B for which, at every point x tried,

    |v(x) - f(x)| <= B u |f(x)|                                              u = 2**-24 or 2**-53

and for logaddexp, with d = a - b and L = log1p(exp(-|d|)), as its bound has it,

    |v - f| <= u (B (|f| + L) + |d| L)

Where the bound claims that nothing is rounded (exp 0, a division by a power of two), v has to be exact.

The exact values are balls (python-flint's arb) of `BITS` bits for both dtypes, at every point; a point is used
only where the ball is narrower than 2**-20 u. Nothing is compared with a wider floating-point type.

Points are stratified: every binade of normal numbers that the function has ordinary results for, its own range
evenly, and neighbourhoods of its special places (0, the 1 of log, the -1 of log1p, the joints of argument
reduction, the ends of its range), each at all distances from one unit in the last place on; mantissas are
random, the seed is fixed. Left out are points where an operand or the result is subnormal, or the result lies
within a few u of overflow: the bounds model flushing and overflow apart. Each array is given twice, contiguous
and strided, because libraries have other code for each.

A worst case seen is a lower bound of the true worst case. So the shipped budgets are what was ever measured,
rounded up, and a fresh measurement can only widen them; and not on the word of one implementation, or the
harness would excuse what it is there to find: see `measured_budgets`.

Method: Zimmermann and others, Accuracy of Mathematical Functions in Single, Double, Double Extended and
Quadruple Precision (2024); they search for the worst cases, which takes hours, and find a little more.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import numpy as np

from harness.arrays import BallArray, precision
from harness.arrays.bounded import BUDGETS
from harness.arrays.exactness import power_of_two
from harness.case import Dtype
from harness.errors import GradparityError, ImplementationError
from harness.protocol import Implementation
from harness.spec import Array

SCHEMA = "gradparity.calibration/1"
BITS = 160
POINTS = 20_000
"""Points per function and dtype: the whole takes a few seconds then."""

DTYPES: tuple[Dtype, ...] = ("float32", "float64")


class CalibrationError(GradparityError):
    """A calibration file is malformed; `path` is the place in it, as a JSON path."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


@dataclass(frozen=True)
class Row:
    """What one function of one implementation needs in one dtype.

    `worst` is the largest B in units of u; infinite where a result was not finite, or rounded where it must not
    be. `at` is the argument, or the two arguments, where that was; `points` is how many were used.
    """

    function: str
    dtype: Dtype
    implementation: str
    worst: float
    at: tuple[float, ...]
    points: int


@dataclass(frozen=True)
class Calibration:
    """A measurement: where, when, of which versions, and a row per function, dtype and implementation."""

    versions: Mapping[str, str]
    date: str
    machine: str
    rows: tuple[Row, ...]

    def to_json(self) -> bytes:
        """The file's content. An infinite `worst` is written as null."""
        rows = [_RowFile(**vars(row)) for row in self.rows]
        file = _CalibrationFile(SCHEMA, dict(self.versions), self.date, self.machine, rows)
        return msgspec.json.format(msgspec.json.encode(file, order="sorted"), indent=1)

    @staticmethod
    def from_json(text: bytes | str) -> Calibration:
        """Read a calibration file.

        Raises:
            CalibrationError: with the JSON path of the offending field. Nothing else, whatever the bytes are.
        """
        try:
            file = msgspec.json.decode(text, type=_CalibrationFile)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `")
            raise CalibrationError(path.rstrip("`") or "$", message) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CalibrationError("$", str(error)) from None
        except RecursionError:
            raise CalibrationError("$", "is nested too deeply to be a calibration") from None
        if file.schema != SCHEMA:
            raise CalibrationError("$.schema", f"needs {SCHEMA!r}, got {file.schema!r}; another version wrote this")
        rows = [
            Row(**{**msgspec.structs.asdict(row), "worst": math.inf if row.worst is None else row.worst})
            for row in file.rows
        ]
        return Calibration(file.versions, file.date, file.machine, tuple(rows))


class _RowFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    function: str
    dtype: Dtype
    implementation: str
    worst: Annotated[float, msgspec.Meta(ge=0)] | None
    at: tuple[float, ...]
    points: Annotated[int, msgspec.Meta(ge=0)]


class _CalibrationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    versions: dict[str, str]
    date: str
    machine: str
    rows: list[_RowFile]


@dataclass(frozen=True)
class Function:
    """A function to calibrate: its exact value over balls, and where to look.

    The range is `low` to `high`, evenly, and every binade within it; `places` are looked at from nearby. A
    limit is made from the dtype's `finfo`, because ranges end where results do.
    """

    exact: Callable[..., Any]
    low: Callable[[Any], float] = lambda info: -float(info.max)
    high: Callable[[Any], float] = lambda info: float(info.max)
    places: tuple[float, ...] = (0.0,)


def _log_tiny(info: Any) -> float:
    return math.log(float(info.tiny))


def _log_max(info: Any) -> float:
    return math.log(float(info.max))


def _saturation(info: Any) -> float:
    """Where exp(-x) is u / 4: beyond, tanh and sigmoid are 1 and expm1 is -1."""
    return -math.log(float(info.eps) / 8)


_JOINTS = tuple(k * math.log(2) / 2 for k in range(-5, 6))
"""Argument reduction changes over at odd multiples of log(2) / 2, and is exact nowhere but at 0."""

UNARY: Mapping[str, Function] = {
    "exp": Function(np.exp, _log_tiny, _log_max, _JOINTS),
    "expm1": Function(np.expm1, lambda info: -1.5 * _saturation(info), _log_max, _JOINTS),
    "log": Function(np.log, lambda info: 0.0, places=(1.0, 2.0, 0.5, math.sqrt(2), math.sqrt(0.5))),
    "log1p": Function(np.log1p, lambda info: -1.0, places=(0.0, -1.0, 1.0, math.sqrt(2) - 1, math.sqrt(0.5) - 1)),
    "tanh": Function(
        np.tanh, lambda info: -_saturation(info), _saturation, (0.0, 0.5, -0.5, 0.625, -0.625, 1.0, -1.0, 9.0, -9.0)
    ),
    "sqrt": Function(np.sqrt, lambda info: 0.0, places=(1.0, 2.0, 4.0)),
    "sigmoid": Function(lambda x: 1 / (1 + np.exp(-x)), _log_tiny, lambda info: 1.5 * _saturation(info), _JOINTS),
}
BINARY: Mapping[str, Callable[..., Any]] = {"divide": np.divide, "logaddexp": np.logaddexp}
FUNCTIONS = tuple(sorted((*UNARY, *BINARY)))
"""What an implementation's `elementary()` may offer."""


def budget_of(function: str, budgets: Mapping[str, float] = BUDGETS) -> float:
    """The units of u that the bounds allow; a sigmoid is 1 / (1 + exp(-x)): an exp, an addition, a division.

    >>> budget_of("tanh"), budget_of("sigmoid")
    (8.0, 7.0)
    """
    return budgets["exp"] + 1 + budgets["divide"] if function == "sigmoid" else budgets[function]


def points(function: str, dtype: Dtype, count: int = POINTS, seed: int = 0) -> tuple[Array, ...]:
    """The argument arrays, one or two, of at most `count` normal numbers each (and zeros)."""
    random, info = np.random.default_rng([seed, FUNCTIONS.index(function), DTYPES.index(dtype)]), np.finfo(dtype)
    if function == "divide":
        operands = [_binades(random, info, count, -float(info.max), float(info.max)) for _ in range(2)]
        special = np.array([1.0, 2.0, 3.0, 10.0, 0.5])
        operands[1][: count // 20] = random.choice(special, count // 20)
        return operands[0].astype(dtype), operands[1].astype(dtype)
    if function == "logaddexp":
        return _logaddexp_points(random, info, count)
    one = UNARY[function]
    low, high = one.low(info), one.high(info)
    with np.errstate(over="ignore"):
        places = [place for place in (*one.places, low, high) if abs(place) < float(info.max)]
        near = [_around(random, info, count // (4 * len(places)), place) for place in places]
        evenly = random.uniform(max(low, -1e4), min(high, 1e4), count // 4)
        binades = _binades(random, info, count // 2, low, high)
        x = np.concatenate([binades, evenly, *near, places]).astype(dtype)
    inside = (x >= low) & (x <= high) & ((np.abs(x) >= info.tiny) | (x == 0))
    return (np.unique(x[inside]),)


def _binades(random: np.random.Generator, info: Any, count: int, low: float, high: float) -> Array:
    """Random mantissas and signs at every exponent of a normal number up to the range's ends."""
    highest = math.frexp(max(abs(low), abs(high)))[1]
    exponents = random.integers(math.frexp(float(info.tiny))[1], highest, count, endpoint=True)
    signs = np.where(random.random(count) < 0.5, -1.0, 1.0) if low < 0 < high else np.sign(low + high)
    return np.asarray(signs * np.ldexp(random.uniform(0.5, 1.0, count), exponents))


def _around(random: np.random.Generator, info: Any, count: int, place: float) -> Array:
    """Both sides of a place, at distances of 2**-p of it to an eighth of it (or of 1), evenly in the exponent."""
    far = max(abs(place), 2.0**-3) / 8
    distance = far * 2.0 ** -random.uniform(0, info.nmant + 1, count)
    return place + np.where(random.random(count) < 0.5, -distance, distance)


def _logaddexp_points(random: np.random.Generator, info: Any, count: int) -> tuple[Array, ...]:
    """Gaps of all sizes about all sizes of a; half with b = 0 as in a softplus; and sums that nearly cancel.

    They cancel where max(a, b) = -L, at a = -log(1 + exp(-d)): the result is then about 0.
    """
    wide = 2.0 * _saturation(info)
    a = np.where(random.random(count) < 0.5, _binades(random, info, count, -wide, wide), random.normal(0, 4, count))
    gap = np.where(random.random(count) < 0.5, random.uniform(0, wide, count), 2.0 ** -random.uniform(-4, 40, count))
    sign = np.where(random.random(count) < 0.5, -1.0, 1.0)
    kind = random.choice(3, count, p=[0.4, 0.5, 0.1])
    a = np.where(kind == 2, -np.log1p(np.exp(-gap)), a)
    b = np.choose(kind, [a + sign * gap, 0.0, a - gap])
    swapped = random.random(count) < 0.5
    pair = np.where(swapped, b, a).astype(info.dtype), np.where(swapped, a, b).astype(info.dtype)
    normal = np.all([(np.abs(x) >= info.tiny) | (x == 0) for x in pair], axis=0)
    return pair[0][normal], pair[1][normal]


@dataclass(frozen=True)
class _Reference:
    """The exact values as sums of two float64, and by how much u and B scale at each point."""

    arguments: tuple[Array, ...]
    high: Array
    low: Array
    scale: Array
    free: Array


@cache
def _reference(function: str, dtype: Dtype, count: int, seed: int) -> _Reference:
    arguments = points(function, dtype, count, seed)
    info = np.finfo(dtype)
    u, tiny, largest = float(info.eps) / 2, float(info.tiny), float(info.max)
    with np.errstate(all="ignore"), precision(BITS):
        exact = (UNARY[function].exact if function in UNARY else BINARY[function])(*map(BallArray.exact, arguments))
        high = exact.mid()
        low = (exact - BallArray.exact(high)).mid()
        radius = exact.radius()
        scale, free = np.abs(high), np.zeros(high.shape)
        if function == "logaddexp":
            gap = np.abs(arguments[0].astype(np.float64) - arguments[1].astype(np.float64))
            tail = np.log1p(np.exp(-gap))
            scale, free = scale + tail, gap * tail
        elif function == "exp":
            scale = np.where(arguments[0] == 0, 0.0, scale)
        elif function == "divide":
            scale = np.where(power_of_two(arguments[1].astype(np.float64)), 0.0, scale)
        size = np.abs(high)
        used = np.isfinite(high) & ((size >= tiny) | (high == 0)) & (size * (1 + 1024 * u) <= largest)
        used &= radius <= 2.0**-20 * u * np.maximum(scale, size)
    return _Reference(tuple(x[used] for x in arguments), high[used], low[used], scale[used], free[used])


def calibrate(
    implementations: Sequence[Implementation], count: int = POINTS, seed: int = 0
) -> Calibration:
    """Measure every function that the implementations offer by `elementary()`; those without it have no rows.

    Raises:
        ImplementationError: an implementation offers an unknown name, or returns another shape or dtype.
    """
    rows: list[Row] = []
    versions: dict[str, str] = {}
    for one in implementations:
        offered = getattr(one, "elementary", None)
        if offered is None:
            continue
        functions = offered()
        for unknown in set(functions) - set(FUNCTIONS):
            raise ImplementationError(f"{one.name}: elementary() offers {unknown!r}; known: {', '.join(FUNCTIONS)}")
        versions |= {name: found for name in getattr(one, "versions", {}) if (found := _installed(name))}
        for function in FUNCTIONS:
            if function in functions:
                for dtype in DTYPES:
                    reference = _reference(function, dtype, count, seed)
                    rows.append(_measure(one.name, function, dtype, functions[function], reference))
    rows.sort(key=lambda row: (row.function, row.dtype))
    return Calibration(versions, datetime.now(UTC).isoformat(timespec="seconds"), machine(), tuple(rows))


def _measure(name: str, function: str, dtype: Dtype, compute: Callable[..., Any], reference: _Reference) -> Row:
    u = float(np.finfo(dtype).eps) / 2
    worst = np.zeros(reference.high.shape)
    for stride in (1, 2):
        arguments = [np.repeat(x, stride)[::stride] for x in reference.arguments]
        with np.errstate(all="ignore"):
            value = compute(*arguments)
            if not isinstance(value, np.ndarray) or value.shape != worst.shape or value.dtype != dtype:
                got = getattr(value, "dtype", type(value).__name__), getattr(value, "shape", None)
                raise ImplementationError(f"{name}: {function} needs to return {dtype} of {worst.shape}, got {got}")
            # Two neighbouring float64 subtract exactly, so what is left is the error to many digits.
            errors = np.abs((value.astype(np.float64) - reference.high) - reference.low)
            errors = np.where(np.isfinite(value), errors, np.inf)
            beyond = np.maximum(errors - u * reference.free, 0.0)
            units = np.where(beyond == 0, 0.0, beyond / (u * reference.scale))
        worst = np.maximum(worst, units)
    at = int(np.argmax(worst))
    where = tuple(float(x[at]) for x in reference.arguments)
    return Row(function, dtype, name, float(worst[at]), where, worst.size)


@dataclass(frozen=True)
class Excess:
    """Measurements of one function that the budget does not cover, worst first."""

    function: str
    budget: float
    rows: tuple[Row, ...]

    @property
    def implementations(self) -> tuple[str, ...]:
        """Whose they are."""
        return tuple(dict.fromkeys(row.implementation for row in self.rows))


def judge_calibration(
    calibration: Calibration, budgets: Mapping[str, float] = BUDGETS
) -> tuple[list[Excess], list[Excess]]:
    """What exceeds its budget, in two lists: divergences of one implementation alone, and gaps in the model.

    A function that one implementation alone computes more loosely than the budget is that implementation's
    divergence. Where several do, what the model calls correct is narrower than what libraries do: a gap.
    """
    divergences, gaps = [], []
    for function in FUNCTIONS:
        budget = budget_of(function, budgets)
        over = [row for row in calibration.rows if row.function == function and row.worst > budget]
        if over:
            excess = Excess(function, budget, tuple(sorted(over, key=lambda row: -row.worst)))
            (divergences if len(excess.implementations) == 1 else gaps).append(excess)
    return divergences, gaps


def measured_budgets(calibration: Calibration, floor: Mapping[str, float] = BUDGETS) -> Mapping[str, float]:
    """Budgets that cover the measurement: never below `floor`, wider only where two implementations need it.

    Never below, because a worst case seen on samples is a lower bound of the true one: what was ever measured
    elsewhere may happen here. And as wide as the second largest need, rounded up, because a function that one
    implementation alone computes loosely is a divergence of its own (`judge_calibration`): a budget that grew
    with it would excuse in the judgement what the calibration has just found.
    """
    budgets = dict(floor)
    for function in floor:
        needs: dict[str, float] = {}
        for row in calibration.rows:
            if row.function == function:
                needs[row.implementation] = max(needs.get(row.implementation, 0.0), row.worst)
        if len(needs) > 1:
            budgets[function] = max(floor[function], float(np.ceil(sorted(needs.values())[-2])))
    return MappingProxyType(budgets)


def machine() -> str:
    """This machine, as libraries choose their code by it: the processor and the system."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model or 'unknown processor'}, {platform.machine()}, {platform.system()}"


def default_path() -> Path:
    """Where a calibration is kept: in the user's cache, `$XDG_CACHE_HOME` or ``~/.cache``."""
    cache_home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache_home) if Path(cache_home).is_absolute() else Path("~/.cache").expanduser()
    return base / "gradparity" / "calibration.json"


@cache
def load_budgets(path: Path | None = None) -> Mapping[str, float]:
    """The budgets to judge by: those of the stored calibration where it fits, else the shipped ones.

    It fits when it was made on this machine with the versions that are installed now. No file, or one of
    another schema, is as good as none.

    Raises:
        CalibrationError: the file is there and malformed, or cannot be read.
    """
    path = default_path() if path is None else path
    try:
        calibration = Calibration.from_json(path.read_bytes())
    except FileNotFoundError:
        return BUDGETS
    except OSError as error:
        raise CalibrationError(str(path), f"cannot be read: {error}") from None
    except CalibrationError as error:
        if error.path == "$.schema":
            return BUDGETS
        raise CalibrationError(
            f"{path}: {error.path}", f"{error.message}; write it anew with `gradparity calibrate`, or delete it"
        ) from None
    fits = all(_installed(name) == found for name, found in calibration.versions.items())
    return measured_budgets(calibration) if fits and calibration.machine == machine() else BUDGETS


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
