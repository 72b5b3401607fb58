"""Calibration: what is measured is the error, what is over its budget is blamed rightly, files fail loudly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import implementation
from harness.arrays.error_model import BUDGETS
from harness.campaign.environment import describe
from harness.cli_calibrate import calibrate as command
from harness.cli_calibrate import table
from harness.errors import ImplementationError
from harness.judge import calibration as module
from harness.judge.calibration import (
    Calibration,
    CalibrationError,
    Row,
    calibrate,
    default_path,
    judge_calibration,
    load_budgets,
    machine,
    measured_budgets,
)
from harness.judge.elementary import DTYPES, FUNCTIONS, points, reference

NAMES = ("numpy", "torch", "jax")
COUNT = 2_000
KNOWN = {("exp", "jax"), ("log1p", "jax")}
"""XLA on CPU: float32 exp just below overflow; float64 log1p in (1 - sqrt 2, sqrt(1/2) - 1), openxla/xla#46765."""


class Sloppy:
    """NumPy with one function exchanged; `how` spoils the true function's result."""

    def __init__(self, name: str, how: Callable[[Any], Any], function: str = "exp") -> None:
        self.name = name
        self.how = how
        self.function = function

    def elementary(self) -> Mapping[str, Callable[..., Any]]:
        true = implementation("numpy").elementary()  # type: ignore[attr-defined]
        return {**true, self.function: lambda *arrays: self.how(true[self.function](*arrays))}

    def run(self, case: Any) -> Any:
        raise NotImplementedError


def off_by(units: float) -> Callable[[Any], Any]:
    """That many u too large; but exp 0 is 1."""
    return lambda y: np.where(y == 1, y, y * (1 + units * np.finfo(y.dtype).eps / 2)).astype(y.dtype)


@pytest.fixture(scope="module")
def measured() -> Calibration:
    return calibrate([implementation(name) for name in NAMES], COUNT)


@pytest.fixture
def stored(tmp_path: Path, measured: Calibration) -> Iterator[Callable[[Calibration | bytes], Path]]:
    def store(what: Calibration | bytes) -> Path:
        load_budgets.cache_clear()
        path = tmp_path / "calibration.json"
        path.write_bytes(what if isinstance(what, bytes) else what.to_json())
        return path

    yield store
    load_budgets.cache_clear()


def wide(calibration: Calibration) -> Calibration:
    """As if everything needed 12.5 u in exp."""
    rows = (replace(row, worst=12.5) if row.function == "exp" else row for row in calibration.rows)
    return replace(calibration, rows=tuple(rows))


def test_the_table_is_complete(measured: Calibration) -> None:
    assert {(row.function, row.dtype, row.implementation) for row in measured.rows} == {
        *product(FUNCTIONS, DTYPES, NAMES)
    }
    assert set(FUNCTIONS) - set(BUDGETS) == {"sigmoid"}
    assert min(row.points for row in measured.rows) > COUNT // 2
    assert set(measured.versions) == {"numpy", "torch", "jax", "jaxlib", "optax"}


def test_the_built_in_implementations_keep_to_their_budgets(measured: Calibration) -> None:
    divergences, gaps = judge_calibration(measured)
    assert gaps == []
    assert {(excess.function, *excess.implementations) for excess in divergences} <= KNOWN


@pytest.mark.parametrize("how", [off_by(40), lambda y: y.astype(np.float16).astype(y.dtype)])
def test_a_sloppy_exp_is_its_owners_divergence(how: Callable[[Any], Any]) -> None:
    found = calibrate([implementation("numpy"), Sloppy("sloppy", how), implementation("torch")], COUNT)
    divergences, gaps = judge_calibration(found)
    assert gaps == []
    (excess,) = divergences
    assert (excess.function, excess.implementations) == ("exp", ("sloppy",))
    assert {row.dtype for row in excess.rows} == set(DTYPES)
    assert measured_budgets(found)["exp"] == BUDGETS["exp"]


def test_the_error_that_was_planted_is_the_error_that_is_measured() -> None:
    (row,) = (
        row
        for row in calibrate([Sloppy("sloppy", off_by(40), "sqrt")], COUNT).rows
        if (row.function, row.dtype) == ("sqrt", "float32")
    )
    assert 40 <= row.worst <= 42
    x = np.array(row.at, np.float32)
    value = off_by(40)(np.sqrt(x)).astype(np.float64)
    again = abs(value - np.sqrt(x.astype(np.float64))).item() / math.sqrt(x[0]) * 2**24
    assert abs(row.worst - again) < 2**-20  # float64 knows the error of float32 to 2**-29 u


def test_sloppy_everywhere_is_a_gap_in_the_model() -> None:
    found = calibrate([Sloppy(f"sloppy {units}", off_by(units)) for units in (20, 40, 400)], COUNT)
    divergences, gaps = judge_calibration(found)
    assert divergences == []
    (excess,) = gaps
    assert (excess.function, excess.implementations) == ("exp", ("sloppy 400", "sloppy 40", "sloppy 20"))
    budgets = measured_budgets(found)
    assert 40 <= budgets["exp"] <= 45  # what two of them need, and not what one does
    assert {name: budget for name, budget in budgets.items() if name != "exp"} == {
        name: budget for name, budget in BUDGETS.items() if name != "exp"
    }


def test_a_rounding_where_none_may_be_counts_as_infinite() -> None:
    def wrong_at_zero(y: Any) -> Any:
        return np.where(y == 1, np.nextafter(y, y.dtype.type(0)), y)

    rows = [row for row in calibrate([Sloppy("sloppy", wrong_at_zero)], COUNT).rows if row.function == "exp"]
    assert {(row.worst, row.at) for row in rows} == {(math.inf, (0.0,))}


def test_nan_counts_as_infinite() -> None:
    rows = calibrate([Sloppy("sloppy", lambda y: np.where(y > 1, np.nan, y), "tanh")], COUNT).rows
    assert max(row.worst for row in rows) < math.inf
    rows = calibrate([Sloppy("sloppy", lambda y: np.where(y > 0.9, np.nan, y), "tanh")], COUNT).rows
    assert {row.function for row in rows if row.worst == math.inf} == {"tanh"}


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        ({"exb": np.exp}, "'exb'; known: divide, erf, exp"),
        ({"exp": lambda x: np.exp(x)[1:]}, "exp needs to return float32"),
        ({"exp": lambda x: np.exp(x).astype(np.float64)}, "exp needs to return float32"),
        ({"exp": lambda x: 1.0}, "exp needs to return float32"),
    ],
)
def test_a_broken_offer_is_refused(offered: Any, says: str) -> None:
    sloppy = Sloppy("mine", np.abs)
    sloppy.elementary = lambda: offered  # type: ignore[method-assign]
    with pytest.raises(ImplementationError, match=says):
        calibrate([sloppy], COUNT)


def test_an_implementation_may_offer_nothing_or_little() -> None:
    class Nothing:
        name = "nothing"
        run = Sloppy.run

    little = Sloppy("little", np.abs)
    little.elementary = lambda: {"exp": np.exp}  # type: ignore[method-assign]
    rows = calibrate([Nothing(), little], COUNT).rows
    assert [(row.function, row.dtype, row.implementation) for row in rows] == [
        ("exp", dtype, "little") for dtype in DTYPES
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "exact"), [("exp", Decimal.exp), ("log", Decimal.ln), ("sqrt", Decimal.sqrt)])
def test_the_exact_values_are_those_of_another_arithmetic(name: str, exact: Any, dtype: Any) -> None:
    found = reference(name, dtype, COUNT)
    with localcontext(prec=60, Emin=-99_999, Emax=99_999):
        columns = (array.tolist() for array in (found.arguments[0], found.shift, found.high, found.low))
        for x, shift, high, low in list(zip(*columns, strict=True))[::40]:
            true = exact(Decimal(x)) * Decimal(shift)
            assert abs(Decimal(high) + Decimal(low) - true) <= abs(true) * Decimal(2) ** -100


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_points_are_normal_numbers_and_the_same_every_time(name: str, dtype: Any) -> None:
    arrays, again = points(name, dtype, COUNT), points(name, dtype, COUNT)
    tiny = np.finfo(dtype).tiny
    for x, same in zip(arrays, again, strict=True):
        assert x.dtype == dtype
        assert np.isfinite(x).all()
        assert ((np.abs(x) >= tiny) | (x == 0)).all()
        np.testing.assert_array_equal(x, same)
        assert len(np.unique(np.frexp(x)[1])) > 80  # binades
        if name not in ("log", "sqrt"):
            assert (x < 0).any()
        assert (x > 0).any()


def test_a_file_comes_back_as_it_was(measured: Calibration) -> None:
    endless = replace(measured, rows=(*measured.rows, Row("exp", "float64", "mine", math.inf, (5e-324,), 1)))
    assert Calibration.from_json(endless.to_json()) == endless
    assert json.loads(endless.to_json())["rows"][-1]["worst"] is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda file: file.pop("machine"), "$"),
        (lambda file: file.update(schema="gradparity.calibration/2"), "$.schema"),
        (lambda file: file.update(more=1), "$"),
        (lambda file: file["versions"].update(numpy=2), "$.versions[...]"),
        (lambda file: file["rows"][0].update(worst=-1.0), "$.rows[...].worst"),
        (lambda file: file["rows"][0].update(worst="1"), "$.rows[...].worst"),
        (lambda file: file["rows"][0].update(dtype="bfloat16"), "$.rows[...].dtype"),
        (lambda file: file["rows"][0].update(at=[None]), "$.rows[...].at[...]"),
    ],
)
def test_a_malformed_file_says_where(change: Callable[[Any], Any], path: str, measured: Calibration) -> None:
    file = json.loads(measured.to_json())
    change(file)
    with pytest.raises(CalibrationError) as error:
        Calibration.from_json(json.dumps(file))
    assert re.sub(r"\[\d+\]", "[...]", error.value.path) == path  # older msgspec does not count


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_fails_the_same_way(text: bytes) -> None:
    with pytest.raises(CalibrationError, match=r"^\$: "):
        Calibration.from_json(text)


def test_a_stored_calibration_that_fits_is_used(stored: Any, measured: Calibration) -> None:
    path = stored(wide(measured))
    assert load_budgets(path) == {**BUDGETS, "exp": 13.0}
    path.unlink()
    assert load_budgets(path)["exp"] == 13.0  # read once
    load_budgets.cache_clear()
    assert load_budgets(path) is BUDGETS


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"numpy": "1.0"}},
        {"versions": {"a package that is not there": "1.0"}},
        {"versions": {}},
        {"machine": "another"},
    ],
)
def test_a_calibration_of_another_place_is_not_used(change: Any, stored: Any, measured: Calibration) -> None:
    assert load_budgets(stored(replace(wide(measured), **change))) is BUDGETS


def test_a_file_of_another_schema_is_not_used_and_a_damaged_one_is_an_error(stored: Any, measured: Calibration) -> None:
    assert load_budgets(stored(measured.to_json().replace(b"calibration/1", b"calibration/2"))) is BUDGETS
    with pytest.raises(CalibrationError, match=r"calibration.json: \$: .* or delete it"):
        load_budgets(stored(measured.to_json()[:-9]))


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "gradparity" / "calibration.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".cache" / "gradparity" / "calibration.json"


def test_the_command_prints_the_table_and_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "calibrate", partial(calibrate, count=COUNT))
    monkeypatch.setattr("sys.path", ["", str(tmp_path)])
    result = CliRunner().invoke(command, ["--without", "torch", "--without", "jax"])
    assert result.exit_code == 0, result.output
    assert f"calibration: {tmp_path}/gradparity/calibration.json" in result.output
    kept = Calibration.from_json((tmp_path / "gradparity" / "calibration.json").read_bytes())
    assert kept.machine == machine()
    assert table(kept) in result.output
    assert "!" not in table(kept)


def test_the_command_fails_where_something_is_over_its_budget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    over = Calibration({"numpy": "2"}, "today", "here", (Row("tanh", "float32", "numpy", 99.0, (0.5,), 7),))
    monkeypatch.setattr(module, "calibrate", lambda implementations: over)
    result = CliRunner().invoke(command, ["--without", "torch", "--without", "jax", "-o", str(tmp_path / "c.json")])
    assert result.exit_code == 1
    assert "99.00!" in result.output
    assert "divergence of numpy: tanh needs 99.00 u in float32 (numpy, at 0.5), the budget is 8 u" in result.output


def test_the_environment_tells_the_settings() -> None:
    told = describe([implementation(name) for name in NAMES])
    assert told["numpy: flushes subnormals"] == "no"
    assert told["jax: flushes subnormals"] in ("no", "float32, float64")
    assert int(told["torch: threads"]) >= 1
    assert {"torch: float32 matmul precision", "jax: devices", "jax: enable_x64"} <= set(told)


def test_flushing_is_seen_and_a_broken_probe_is_a_note() -> None:
    flushing, broken = Sloppy("flushing", np.zeros_like, "divide"), Sloppy("broken", lambda y: 1 / 0, "divide")
    told = describe([flushing, broken])
    assert told["flushing: flushes subnormals"] == "float32, float64"
    assert told["broken: numerics"].startswith("not told: ZeroDivisionError")
