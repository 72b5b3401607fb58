"""The house: who may import whom, what stays light, and that the public names are what they say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "jax", "optax"}
OURS = {"harness", "reference_impls", "reports", "property_tests", "benchmarks"}
GROUND_FLOOR = {
    f"harness.{name}"
    for name in (
        "spec", "case", "trace", "protocol", "registry", "errors", "worked_example", "stop_gradient", "schedule_spec"
    )
}
FOLDERS = ("layers", "losses", "optimizers", "schedules", "clipping")
"""Of the cards."""
RECORDS = {"harness.campaign.records", "harness.errors"}


def imports(source: str, *, top_level_only: bool = False) -> set[str]:
    """The full names of the modules that a source imports."""
    tree = ast.parse(source)
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def breaches(package: str, source: str) -> list[str]:
    """What a module of a package imports against the rules."""
    wrong = []
    for name in sorted(imports(source)):
        top = name.partition(".")[0]
        if package == "harness":
            allowed = top not in (OURS - {"harness"}) | FRAMEWORKS
        elif package == "reference_impls":
            allowed = top not in OURS or top == "reference_impls" or name in GROUND_FLOOR
        else:
            allowed = top not in OURS | FRAMEWORKS or top == "reports" or name in RECORDS
        if not allowed:
            wrong.append(f"{package} may not import {name}")
    wrong += [
        f"{name} at module level"
        for name in sorted(imports(source, top_level_only=True))
        if name.partition(".")[0] in FRAMEWORKS
    ]
    return wrong


@pytest.mark.parametrize("package", ["harness", "reference_impls", "reports"])
def test_imports_point_the_right_way(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    found = {str(path.relative_to(ROOT)): breaches(package, path.read_text()) for path in modules}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("package", "planted"),
    [
        ("harness", "def f():\n    import torch"),
        ("harness", "from reference_impls.layers import dense"),
        ("harness", "from reports.html import render"),
        ("reference_impls", "from harness.judge.walk import forward"),
        ("reference_impls", "import jax"),
        ("reports", "from harness.judge.judge import judge"),
        ("reports", "import torch"),
    ],
)
def test_a_planted_import_is_caught(package: str, planted: str) -> None:
    assert breaches(package, planted)


def _in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAVY = "print(sorted({'torch', 'jax', 'optax', 'flint', 'hypothesis'} & set(sys.modules)))"


def test_the_cards_the_records_and_the_help_import_no_framework() -> None:
    cards = "import sys, reference_impls.cards, reference_impls.worked_examples, reports.html, harness.campaign.store;"
    assert _in_a_fresh_python(cards + HEAVY) == "[]"
    shown = "import sys; from click.testing import CliRunner; from harness.cli import main;"
    shown += "assert 'Usage' in CliRunner().invoke(main, ['--help']).output;"
    assert _in_a_fresh_python(shown + HEAVY) == "[]"


def test_the_check_for_frameworks_sees_one() -> None:
    assert "flint" in _in_a_fresh_python("import sys, flint;" + HEAVY)


def test_harness_works_without_the_reference_implementations() -> None:
    hidden = "import sys; sys.modules['reference_impls'] = None; sys.modules['reports'] = None; import harness;"
    hidden += "[getattr(harness, name) for name in harness.__all__]; print('fine')"
    assert _in_a_fresh_python(hidden) == "fine"


def test_public_names_exist_and_are_documented() -> None:
    source = (ROOT / "harness" / "__init__.py").read_text()
    declared = {
        alias.asname
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness.")
        for alias in node.names
    }
    assert declared == set(harness.__all__)
    assert [name for name in harness.__all__ if not getattr(harness, name).__doc__] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.nothing


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_card_file_is_imported(folder: str) -> None:
    package = ROOT / "reference_impls" / folder
    files = {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    imported = {name.rpartition(".")[2] for name in imports((package / "__init__.py").read_text())}
    assert files
    assert files - imported == set()


def long_modules(paths: list[Path], most: int) -> list[str]:
    return [f"{path}: {count} lines" for path in paths if (count := len(path.read_text().splitlines())) > most]


LONGER = {"gru_cell": 160, "multi_head_attention": 150, "_recurrent": 150}
"""Cards with two definitions, or of several matrices; and what the recurrent cards have in common."""


def long_cards(sources: dict[str, str], most: int) -> list[str]:
    """The cards that are too long to be read in one go; what can go wrong in them is not counted."""
    lengths = {name: len(source.partition("    mistakes=(")[0].splitlines()) for name, source in sources.items()}
    return [f"{name}: {count} lines" for name, count in lengths.items() if count > LONGER.get(Path(name).stem, most)]


def test_modules_fit_in_a_head() -> None:
    packages = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "reference_impls").rglob("*.py")]
    assert long_modules([*packages, *(ROOT / "reports").rglob("*.py")], most=400) == []
    folders = [ROOT / "reference_impls" / folder for folder in FOLDERS]
    cards = {str(path): path.read_text() for folder in folders for path in folder.glob("*.py")}
    assert long_cards(cards, most=125) == []
    assert long_modules([Path(__file__)], most=10) != []
    assert long_cards({"planted": "x\n" * 126 + "    mistakes=(\n"}, most=125) != []
