"""A function that comes to one expression, written where it is called: ``n7 = torch.relu(n6)``."""

from __future__ import annotations

import ast
from collections.abc import Mapping

MOST_CHARACTERS = 100
_SCOPES = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.NamedExpr


def inlined(
    definition: ast.FunctionDef, arguments: Mapping[str, str], roles: Mapping[str, str], known: Mapping[str, object]
) -> str | None:
    """The expression that a call comes to, or None where a call it has to be.

    `arguments` are the names that are handed over, by parameter; `roles` those of the dictionary ``p``; `known` the
    parameters that are constants. Variables that are used once are put where they are used.

    >>> (definition,) = ast.parse("def f(torch, p, x, *, c): y = x @ p['W']; return torch.relu(y + c)").body
    >>> inlined(definition, {"torch": "torch", "x": "n0"}, {"W": "n1"}, {"c": -2.0})
    'torch.relu(n0 @ n1 + -2.0)'
    """
    if any(isinstance(node, _SCOPES) for node in ast.walk(definition)) or definition.decorator_list:
        return None
    values: dict[str, ast.expr] = {name: ast.Name(text, ast.Load()) for name, text in arguments.items()}
    values |= {name: _constant(value) for name, value in known.items() if name != "p"}
    *lines, last = definition.body
    for number, line in enumerate(lines):
        if not isinstance(line, ast.Assign) or len(line.targets) != 1 or not isinstance(line.targets[0], ast.Name):
            return None
        name = line.targets[0].id
        if name in values or sum(_uses(later, name) for later in definition.body[number + 1 :]) != 1:
            return None
        values[name] = _Substituted(values, roles).visit(line.value)
    if not isinstance(last, ast.Return) or last.value is None:
        return None
    made = _Substituted(values, roles).visit(last.value)
    text = ast.unparse(ast.fix_missing_locations(made))
    return None if len(text) > MOST_CHARACTERS or _uses(made, "p") else text


class _Substituted(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr], roles: Mapping[str, str]) -> None:
        self.values, self.roles = values, roles

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "p" and isinstance(node.slice, ast.Constant):
            return ast.Name(self.roles[str(node.slice.value)], ast.Load())
        return self.generic_visit(node)


def _uses(tree: ast.AST, name: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def _constant(value: object) -> ast.expr:
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)  # type: ignore[arg-type]
