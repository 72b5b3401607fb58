"""Habits that a reader can rely on: no tolerance chosen by hand, no answer dropped, nothing unsafe read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("harness", "reference_impls", "reports", "property_tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
TOLERANCES = {
    "rtol", "atol", "rel_tol", "abs_tol", "allclose", "isclose", "assert_allclose", "assert_close", "approx",
    "assert_array_almost_equal", "assert_almost_equal",
}  # fmt: skip
COMPARISONS = {
    "array_equal", "allclose", "isclose", "all", "any", "compare", "equal", "array_equiv", "isinstance", "issubclass",
    "judge", "startswith", "endswith",
}  # fmt: skip
UNSAFE = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
TAKES_TOLERANCES = {"benchmarks/peers.py", "property_tests/meta/test_calibration_bench.py"}
"""How other tools compare, and its test: the only places where a tolerance may stand."""
RUNS_SOURCE = {
    "harness/mutants/mutant.py",
    "property_tests/ledger.py",
    "property_tests/meta/test_ledger.py",
    "property_tests/meta/test_structure.py",
    "property_tests/test_schedules_and_clipping.py",
}
"""Mutants and checks that are noted are compiled from our own source."""


def names(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword | ast.arg) and node.arg:
            found.add(node.arg)
    return found


def tolerances(source: str) -> set[str]:
    return names(ast.parse(source)) & TOLERANCES


def dropped_answers(source: str) -> list[int]:
    """The lines with a statement that consists of a comparison alone, whose answer nobody reads."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Expr):
            continue
        value = node.value
        if isinstance(value, ast.Compare | ast.BoolOp):
            lines.append(node.lineno)
        elif isinstance(value, ast.Call):
            called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
            if called in COMPARISONS:
                lines.append(node.lineno)
    return lines


def in_raises(source: str) -> set[int]:
    """The lines inside ``with pytest.raises(...)``, where a call's point is that it does not return."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With) and any("raises" in names(item.context_expr) for item in node.items):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def unsafe(source: str) -> set[str]:
    tree = ast.parse(source)
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    called = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    loads = {"allow_pickle"} & names(tree)
    return imported & UNSAFE | called & UNSAFE_CALLS | loads


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_keeps_the_habits(path: Path) -> None:
    name, source = path.relative_to(ROOT).as_posix(), path.read_text()
    if name not in TAKES_TOLERANCES and path != Path(__file__):
        assert tolerances(source) == set()
    assert [line for line in dropped_answers(source) if line not in in_raises(source)] == []
    if name not in RUNS_SOURCE:
        assert unsafe(source) == set()


@pytest.mark.parametrize(
    "planted", ["np.allclose(a, b)", "f(rtol=1e-5)", "assert x == pytest.approx(y)", "def f(atol): ..."]
)
def test_a_planted_tolerance_is_seen(planted: str) -> None:
    assert tolerances(planted)


@pytest.mark.parametrize("planted", ["np.array_equal(a, b)", "a == b", "a < b and c", "x.all()"])
def test_a_planted_dropped_answer_is_seen(planted: str) -> None:
    assert dropped_answers(planted) == [1]


@pytest.mark.parametrize(
    "planted", ["import pickle", "from pickle import loads", "eval('1')", "np.load(f, allow_pickle=True)"]
)
def test_a_planted_unsafe_read_is_seen(planted: str) -> None:
    assert unsafe(planted)
