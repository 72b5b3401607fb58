"""The source of cards' functions, cut out and renamed, so that it runs where this project is not installed.

A function brings along what it uses: helpers, constants, imports. Every function gets a name of its own in the
script, so two cards that both call theirs ``numpy_forward`` do not clash. Branches that a case's hyperparameters
decide (`if layout == "rows"`) are decided here, so the script shows the formula that ran and not its alternatives.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import operator
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from harness.campaign.script.inline import inlined
from harness.errors import GradparityError

HOMES = ("numpy", "scipy.special")
"""Where functions are looked for that do not say themselves where they are from: ufuncs."""
_LITERALS = (bool, int, float, complex, str, type(None))
_RESERVED = {"W", "G", "STATE", "EXACT", "NEAREST", "BOUND", "INDEX", "SIDES", "SHOWN", "Decimal", "getcontext"}
_RESERVED |= {"beyond", "main", "sys", "base64", "zlib", "by_numpy", "by_torch", "by_jax"}
"""Names that the script uses itself."""
_TESTS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, group: item in group,
    ast.NotIn: lambda item, group: item not in group,
}


class Sources:
    """The functions of one script, each with the name that it has there."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._imports: dict[str, str] = {"np": "import numpy"}
        self._names: dict[Any, str] = {}

    @property
    def imports(self) -> list[str]:
        """The import statements that the functions need."""
        return sorted(
            stem if stem.endswith(f" {name}") else f"{stem} as {name}" for name, stem in self._imports.items()
        )

    def function(self, function: Any, wanted: str, known: Mapping[str, Any] | None = None) -> str:
        """The function's name in the script; its source is taken when it is asked for first.

        `known` are arguments whose value is known: hyperparameters, and for a card's parameters the set of their roles.

        Raises:
            GradparityError: it is no plain ``def``, or uses something that cannot be written down.
        """
        known = dict(known or {})
        key = (function, tuple(sorted((name, repr(value)) for name, value in known.items())))
        if key in self._names:
            return self._names[key]
        plain = inspect.unwrap(function)
        definition = _definition(plain)
        self._names[key] = name = self._free(wanted)
        made = _Rewritten(self, plain, definition, known, wanted.partition("_numpy")[0]).visit(definition)
        made.name = "_"
        text = ast.unparse(ast.fix_missing_locations(made))
        same = self._names.setdefault((function, text), name)
        if same == name:
            self.blocks.append(text.replace("def _(", f"def {name}(", 1))
        else:
            self._names[key] = same
        return same

    def expression(self, function: Any, prefix: str, known: Mapping[str, Any], call: Mapping[str, Any]) -> str | None:
        """What a call comes to, where that is one expression; None where the function has to be called.

        `call` has the names that are handed over, positional ones in order under ``arguments``, ``p`` under ``roles``.
        """
        plain = inspect.unwrap(function)
        definition = _definition(plain)
        names = [argument.arg for argument in definition.args.args if argument.arg != "p"]
        if definition.args.vararg or len(names) != len(call["arguments"]):
            return None
        made = _Rewritten(self, plain, definition, dict(known), prefix).visit(definition)
        return inlined(made, dict(zip(names, call["arguments"], strict=True)), call["roles"], known)

    def reference(self, used: str, value: Any, prefix: str, function: FunctionType) -> str:
        """How the script refers to something that a function uses: the name that it has there."""
        if inspect.isclass(value) and issubclass(value, BaseException) and not _importable(value.__module__):
            return "ValueError"
        if isinstance(value, ModuleType) and _importable(value.__name__):
            return self._imported(used, f"import {value.__name__}")
        found = (name for name in HOMES if getattr(sys.modules.get(name), used, None) is value)
        module = next(found, getattr(value, "__module__", None))
        if isinstance(module, str) and _importable(module) and getattr(sys.modules[module], used, None) is value:
            return self._imported(used, f"from {module} import {used}")
        if isinstance(inspect.unwrap(value), FunctionType):
            return self.function(value, f"{prefix}_{used}")
        literal = _literal(value)
        if literal is None:
            raise GradparityError(f"{_called(function)} uses {used!r}, which a script cannot contain: {value!r:.60}")
        key = (used, literal)
        if key not in self._names:
            self._names[key] = self._free(used)
            self.blocks.append(f"{self._names[key]} = {literal}")
        return self._names[key]

    def _imported(self, used: str, stem: str) -> str:
        """The name under which a module, or a thing from one, is imported: the author's, unless it is taken."""
        name = next((name for name, known in self._imports.items() if known == stem), None)
        if name is None:
            name = self._free(used)
            self._imports[name] = stem
        return name

    def _free(self, wanted: str) -> str:
        name = re.sub(r"\W|^(?=\d)", "_", wanted, flags=re.ASCII)
        taken = {*self._names.values(), *self._imports, *_RESERVED}
        return next(free for free in (name, *(f"{name}_{n}" for n in range(2, 10_000))) if free not in taken)


class _Rewritten(ast.NodeTransformer):
    """A function without docstring, annotations and decided branches, and with the script's names for what it uses."""

    def __init__(
        self, sources: Sources, function: FunctionType, definition: ast.FunctionDef, known: dict[str, Any], prefix: str
    ) -> None:
        bound = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name) and _is_store(node)}
        nested = [node for node in ast.walk(definition) if isinstance(node, ast.FunctionDef | ast.Lambda)]
        bound |= {arg.arg for node in nested[1:] for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        self.known = {name: value for name, value in known.items() if name not in bound}
        self.sources, self.function, self.prefix = sources, function, prefix
        self.scope = {**function.__globals__, **_closure(function)}
        self.local = _locals_of(function.__code__)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.returns = None
        node.args = self.visit(node.args)
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.body = self._block(node.body) or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_If(self, node: ast.If) -> Any:
        decided = self._decide(node.test)
        return self._lines(node, None if decided is None else node.body if decided else node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        decided = self._decide(node.test)
        return self.generic_visit(node) if decided is None else self.visit(node.body if decided else node.orelse)

    def visit_Match(self, node: ast.Match) -> Any:
        if not isinstance(node.subject, ast.Name) or node.subject.id not in self.known:
            return self.generic_visit(node)
        for case in node.cases:
            pattern = case.pattern
            if case.guard is None and isinstance(pattern, ast.MatchAs) and pattern.pattern is None and not pattern.name:
                return self._lines(node, case.body)
            if case.guard or not isinstance(pattern, ast.MatchValue) or not isinstance(pattern.value, ast.Constant):
                return self.generic_visit(node)
            if pattern.value.value == self.known[node.subject.id]:
                return self._lines(node, case.body)
        return None

    def _lines(self, node: ast.AST, chosen: list[ast.stmt] | None) -> Any:
        """The statements that stand for a decided one; an undecided one stays."""
        return self.generic_visit(node) if chosen is None else self._block(chosen)

    def _block(self, chosen: list[ast.stmt]) -> list[Any]:
        """Statements one after the other, up to where the function ends."""
        lines: list[Any] = []
        for line in chosen:
            made = self.visit(line)
            lines += made if isinstance(made, list) else [] if made is None else [made]
            if lines and isinstance(lines[-1], ast.Return | ast.Raise):
                break
        return lines

    def visit_Call(self, node: ast.Call) -> Any:
        helper = self._helper(node.func)
        if helper is None:
            return self.generic_visit(node)
        names = list(inspect.signature(helper).parameters)
        given = [*zip(names, node.args, strict=False), *((word.arg, word.value) for word in node.keywords)]
        if any(isinstance(value, ast.Starred) for value in node.args) or None in dict(given):
            given = []  # what is unpacked cannot be followed
        values = {str(name): self._value(value) for name, value in given}
        known = {name: value for name, (found, value) in values.items() if found}
        used = node.func.id if isinstance(node.func, ast.Name) else node.func.attr  # type: ignore[attr-defined]
        name = self.sources.function(helper, f"{self.prefix}_{used}", known)
        node.func = ast.Constant(0)
        self.generic_visit(node)
        node.func = ast.Name(name, ast.Load())
        return node

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.local:
            return node
        if node.id in self.scope:
            name = self.sources.reference(node.id, self.scope[node.id], self.prefix, self.function)
            return ast.copy_location(ast.Name(name, node.ctx), node)
        if hasattr(builtins, node.id):
            return node
        raise GradparityError(f"{_called(self.function)} uses {node.id!r}, which is not defined")

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        module = self._own_module(node)
        if module is None:
            return self.generic_visit(node)
        name = self.sources.reference(node.attr, getattr(module, node.attr), self.prefix, self.function)
        return ast.copy_location(ast.Name(name, node.ctx), node)

    def _own_module(self, node: ast.expr) -> ModuleType | None:
        """The module of the author's own that something is taken from here, as in ``helpers.scale``."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.value.id in self.local:
            return None
        value = self.scope.get(node.value.id)
        return value if isinstance(value, ModuleType) and not _importable(value.__name__) else None

    def _helper(self, node: ast.expr) -> Any:
        """The function of the author's own that is called here."""
        module = self._own_module(node)
        if module is not None:
            value = getattr(module, node.attr, None)  # type: ignore[attr-defined]
        elif isinstance(node, ast.Name) and node.id not in self.local:
            value = self.scope.get(node.id)
        else:
            return None
        own = isinstance(value, FunctionType) and not _importable(value.__module__)
        return value if own else None

    def _value(self, node: ast.expr) -> tuple[bool, Any]:
        if isinstance(node, ast.Constant):
            return True, node.value
        if isinstance(node, ast.Name) and node.id in self.known:
            return True, self.known[node.id]
        return False, None

    def _decide(self, test: ast.expr) -> bool | None:
        """What a condition comes to, where what is known decides it: a script has plain arrays alone."""
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "hasattr":
            named = test.args[1] if len(test.args) == 2 else None
            return False if isinstance(named, ast.Constant) and str(named.value).startswith("_") else None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._decide(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            parts = [self._decide(part) for part in test.values]
            decisive = isinstance(test.op, ast.Or)
            return decisive if decisive in parts else None if None in parts else not decisive
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in _TESTS:
            (left_known, left), (right_known, right) = self._value(test.left), self._value(test.comparators[0])
            try:
                return bool(_TESTS[type(test.ops[0])](left, right)) if left_known and right_known else None
            except TypeError:
                return None
        found, value = self._value(test)
        return bool(value) if found else None


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def _definition(function: Any) -> ast.FunctionDef:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError) as error:
        raise GradparityError(f"the source of {_called(function)} cannot be had: {error}") from None
    if not isinstance(definition, ast.FunctionDef):
        raise GradparityError(f"{_called(function)} is no plain `def`, so its source cannot stand in a script")
    return definition


def _called(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


def _closure(function: FunctionType) -> Mapping[str, Any]:
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def _locals_of(code: CodeType) -> set[str]:
    """What is bound inside: arguments and variables, of nested functions too."""
    found = {*code.co_varnames, *code.co_cellvars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _locals_of(constant)
    return found


def _importable(module: str) -> bool:
    """Whether a script can have this module."""
    top = module.partition(".")[0]
    return (top in ("numpy", "scipy") or top in sys.stdlib_module_names) and module in sys.modules and top != "__main__"


def _literal(value: Any) -> str | None:
    """The text of a constant that can be written down exactly; None for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, _LITERALS):
        return repr(value)
    if isinstance(value, tuple | list | frozenset | set):
        parts = _literals(value)
        inside = ", ".join(parts or ())
        written = {tuple: f"({inside}{',' * (len(value) == 1)})", list: f"[{inside}]"}
        return None if parts is None else written.get(type(value), f"{type(value).__name__}([{inside}])")
    if isinstance(value, dict):
        keys, items = _literals(value), _literals(value.values())
        if keys is None or items is None:
            return None
        return "{" + ", ".join(f"{key}: {item}" for key, item in zip(keys, items, strict=True)) + "}"
    return None


def _literals(values: Iterable[Any]) -> list[str] | None:
    parts = [_literal(value) for value in values]
    return None if None in parts else [part for part in parts if part is not None]
