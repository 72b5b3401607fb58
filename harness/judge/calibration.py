"""Calibration: how far the elementary functions of each implementation really are from the exact values.

The rounding bounds allow each function B units of u (`harness.arrays.bounded.BUDGETS`). This measures what an
implementation needs on this machine: the smallest B for which, at every point x tried,

    |v(x) - f(x)| <= B u |f(x)|                                              u = 2**-24 or 2**-53

and for logaddexp, with d = a - b and L = log1p(exp(-|d|)), as its bound has it,

    |v - f| <= u (B (|f| + L) + |d| L)

Where the bound claims that nothing is rounded (exp 0, a division by a power of two), v has to be exact.

Points and exact values: `harness.judge.elementary`. Each array is given twice, contiguous and strided, because
libraries have other code for each.

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

from harness.arrays.error_model import BUDGETS
from harness.case import Dtype
from harness.errors import GradparityError, ImplementationError
from harness.judge.elementary import DTYPES, FUNCTIONS, POINTS, Reference, reference
from harness.protocol import Implementation

SCHEMA = "gradparity.calibration/1"

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


def budget_of(function: str, budgets: Mapping[str, float] = BUDGETS) -> float:
    """The units of u that the bounds allow; those of a sigmoid, 1 / (1 + exp(-x)), are made of its parts'.

    >>> budget_of("tanh"), budget_of("sigmoid")
    (8.0, 9.0)
    """
    return budgets["exp"] + 1 + budgets["divide"] if function == "sigmoid" else budgets[function]


def calibrate(implementations: Sequence[Implementation], count: int = POINTS, seed: int = 0) -> Calibration:
    """Measure every function that the implementations offer by `elementary()`; those without it have no rows.

    Raises:
        ImplementationError: an implementation offers an unknown name, or returns another shape or dtype.
    """
    offers = {one.name: one.elementary() for one in implementations if hasattr(one, "elementary")}
    for name, offer in offers.items():
        for unknown in set(offer) - set(FUNCTIONS):
            raise ImplementationError(f"{name}: elementary() offers {unknown!r}; known: {', '.join(FUNCTIONS)}")
    rows = []
    for function in FUNCTIONS:
        for dtype in DTYPES:
            exact = reference(function, dtype, count, seed)
            for name, offer in offers.items():
                if function in offer:
                    rows.append(_measure(name, function, dtype, offer[function], exact))
    packages = {package for one in implementations for package in getattr(one, "versions", {})}
    versions = {package: found for package in sorted(packages) if (found := _installed(package))}
    return Calibration(versions, datetime.now(UTC).isoformat(timespec="seconds"), machine(), tuple(rows))


def _measure(name: str, function: str, dtype: Dtype, compute: Callable[..., Any], exact: Reference) -> Row:
    u = float(np.finfo(dtype).eps) / 2
    worst = np.zeros(exact.high.shape)
    for stride in (1, 2):
        with np.errstate(all="ignore"):
            value = compute(*(np.repeat(x, stride)[::stride] for x in exact.arguments))
            if not isinstance(value, np.ndarray) or value.shape != worst.shape or value.dtype != dtype:
                got = getattr(value, "dtype", type(value).__name__), getattr(value, "shape", None)
                raise ImplementationError(f"{name}: {function} needs to return {dtype} of {worst.shape}, got {got}")
            # Float64 near each other subtract exactly, so what is left is the error, to many digits.
            errors = np.abs((value.astype(np.float64) * exact.shift - exact.high) - exact.low)
            beyond = np.where(np.isfinite(value), np.maximum(errors - u * exact.free, 0.0), np.inf)
            units = np.where(beyond == 0, 0.0, beyond / (u * exact.scale))
        worst = np.maximum(worst, units)
    at = int(np.argmax(worst))
    return Row(function, dtype, name, float(worst[at]), tuple(float(x[at]) for x in exact.arguments), worst.size)


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
    divergences: list[Excess] = []
    gaps: list[Excess] = []
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
    """The processor and the system, by which libraries choose their code."""
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

    Raises:
        CalibrationError: the file is there and malformed, or cannot be read.
    """
    calibration = load_calibration(path)
    return measured_budgets(calibration) if calibration else BUDGETS


def load_calibration(path: Path | None = None) -> Calibration | None:
    """The stored calibration, where it fits: made on this machine with the versions that are installed now.

    No file, or one of another schema, is as good as none.

    Raises:
        CalibrationError: the file is there and malformed, or cannot be read.
    """
    path = default_path() if path is None else path
    try:
        calibration = Calibration.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CalibrationError(str(path), f"cannot be read: {error}") from None
    except CalibrationError as error:
        if error.path == "$.schema":
            return None
        raise CalibrationError(
            f"{path}: {error.path}", f"{error.message}; write it anew with `gradparity calibrate`, or delete it"
        ) from None
    known = {package: _installed(package) for package in calibration.versions}
    fits = calibration.machine == machine() and known and known == calibration.versions
    return calibration if fits else None


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
