"""The ledger of checks: every check of this project has been seen to hold and seen to fail, in one run of the tests.

    GRADPARITY_LEDGER=.ledger pytest -n auto
    python -m property_tests.ledger .ledger

A check is a condition that an answer hangs on: an `if` that refuses its input by an exception, whatever a function
returns that is annotated `-> bool`, and, in the judge, every `if`. With the variable set, modules are imported with a
call around each of these, which notes its outcome; every process of the test run leaves its notes in the folder. A
condition that was always the same has not been tested: that is an error, unless `ONE_SIDED` has the reason.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "reference_impls", "reports")
JUDGE = "harness/judge/"
NOTE = "__note_outcome__"
ONE_SIDED = {
    "harness/judge/calibration.py machine: cpuinfo.is_file()": "true on Linux alone, and the tests run there",
}
"""Checks that only ever go one way in tests, by name, with the reason."""


class _Checks(ast.NodeTransformer):
    """Puts a call around every check of a file; `found` names them."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[str] = []
        self._inside: list[ast.FunctionDef] = []

    def _noted(self, condition: ast.expr, what: ast.expr) -> ast.expr:
        within = ".".join(one.name for one in self._inside)
        name = f"{self.path} {within}: {ast.unparse(what)}"
        self.found.append(name)
        call = ast.Call(ast.Name(NOTE, ast.Load()), [ast.Constant(name), condition], [])
        return ast.fix_missing_locations(ast.copy_location(call, condition))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._inside.append(node)
        self.generic_visit(node)
        self._inside.pop()
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        what = node.test
        self.generic_visit(node)
        if self.path.startswith(JUDGE) or any(isinstance(one, ast.Raise) for one in (*node.body, *node.orelse)):
            node.test = self._noted(node.test, what)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        function = self._inside[-1] if self._inside else None
        if function and isinstance(function.returns, ast.Name) and function.returns.id == "bool":
            assert node.value is not None
            if not isinstance(node.value, ast.Constant):
                node.value = self._noted(node.value, node.value)
        return node


def checks_of(source: str, path: str) -> tuple[ast.Module, list[str]]:
    """The source with notes taken, and the names of its checks."""
    transformer = _Checks(path)
    tree = transformer.visit(ast.parse(source))
    return tree, transformer.found


def all_checks(root: Path = ROOT) -> list[str]:
    """The names of all checks of the project."""
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return [name for path in paths for name in checks_of(path.read_text(), path.relative_to(root).as_posix())[1]]


class _Loader(SourceFileLoader):
    """Compiles a module with its checks noted, past the cache of compiled files."""

    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.get_filename(fullname))
        tree, _ = checks_of(path.read_text(), path.relative_to(ROOT).as_posix())
        return compile(tree, path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path or [str(ROOT)], target)
        if spec and spec.origin and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def take_notes(folder: Path) -> Callable[[], None]:
    """From now on, outcomes of checks are noted; what is returned writes them to the folder."""
    early = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    if early:
        raise RuntimeError(f"imported before notes are taken: {', '.join(early)}")
    seen: dict[str, set[bool]] = {}

    def note(name: str, outcome: Any) -> Any:
        seen.setdefault(name, set()).add(bool(outcome))
        return outcome

    def write() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({name: sorted(outcomes) for name, outcomes in seen.items()})
        (folder / f"{os.getpid()}.json").write_text(text)

    setattr(builtins, NOTE, note)
    sys.meta_path.insert(0, _Finder())
    return write


def read_notes(folder: Path) -> dict[str, set[bool]]:
    """What all processes together have seen."""
    seen: dict[str, set[bool]] = {}
    for path in folder.glob("*.json"):
        for name, outcomes in json.loads(path.read_text()).items():
            seen.setdefault(name, set()).update(outcomes)
    return seen


def complaints(checks: Sequence[str], seen: Mapping[str, set[bool]]) -> Iterator[str]:
    """Checks that went one way only, and excuses that are none."""
    for name in dict.fromkeys(checks):
        outcomes = seen.get(name, set())
        if len(outcomes) < 2 and name not in ONE_SIDED:
            only = next((f"always {one}" for one in outcomes), "never reached")
            yield f"{only}: {name}"
        elif len(outcomes) == 2 and name in ONE_SIDED:
            yield f"needs no excuse, both seen: {name}"
    yield from (f"no such check: {name}" for name in ONE_SIDED if name not in checks)


def main(folder: str) -> int:
    """Print what is wrong; the exit status is 1 then."""
    checks, seen = all_checks(), read_notes(Path(folder))
    if not checks or not seen:
        print(f"no checks were noted in {folder}: run pytest with GRADPARITY_LEDGER={folder}")
        return 1
    wrong = list(complaints(checks, seen))
    print(*wrong, sep="\n")
    print(f"{len(set(checks))} checks, {len(wrong)} of them not seen to hold and to fail")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
