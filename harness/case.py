"""Networks and cases: what is compared, and how it is written down exactly.

A case file is JSON (see `Case.to_json`). Numbers are written in the shortest decimal form that reads back as
the same float64 (a float32 is a float64 too), so nothing is lost; what JSON has no number for is written as
a string: ``"nan"``, ``"inf"``, ``"-inf"``. Hexadecimal floats (``"0x1.8p-1"``) are read as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from harness.errors import CaseError
from harness.spec import Array, Hyper, Shape
from harness.trace import LOSS

SCHEMA = "gradparity.case/1"
MAX_ELEMENTS = 100_000_000
RECORD_IN_FULL = 20
"""Up to this many steps, every step is recorded; beyond, about as many, evenly spaced in log(step)."""

Dtype = Literal["float16", "float32", "float64"]


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of an array, and its element type: the case's own, unless it holds integers."""

    shape: list[int]
    dtype: Literal["case", "int64"] = "case"


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One operation in a network: which card, on which nodes, with which parameters by role."""

    name: str
    op: str
    inputs: list[str] = []
    params: dict[str, str] = {}
    hypers: dict[str, bool | int | float | str | tuple[int, ...]] = {}


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A directed acyclic graph of operations, and the loss that is differentiated.

    Gradients are taken with respect to every parameter, node and input. Constants are given and not
    differentiated: targets, masks, the 2 in 2x + 1. Nodes come in an order in which each uses only what
    stands before it; a node or a parameter may be used any number of times. The loss is the sum of its terms.
    """

    inputs: dict[str, TensorSpec] = {}
    constants: dict[str, TensorSpec] = {}
    params: dict[str, TensorSpec] = {}
    nodes: list[Node] = []
    loss: list[Node] = []

    def operations(self) -> Iterator[tuple[str, Node]]:
        """Every node and loss term in order, each with its JSON path."""
        for index, node in enumerate(self.nodes):
            yield f"$.network.nodes[{index}]", node
        for index, term in enumerate(self.loss):
            yield f"$.network.loss[{index}]", term

    def tensors(self) -> dict[str, TensorSpec]:
        """What has to be given: inputs, constants and parameters."""
        return {**self.inputs, **self.constants, **self.params}

    def check(self) -> None:
        """Raise `CaseError` unless names are unique and every use comes after its definition."""
        defined: set[str] = set()
        for group in ("inputs", "constants", "params"):
            for name, spec in getattr(self, group).items():
                path = f"$.network.{group}.{name}"
                _check_name(path, name, defined)
                if any(size < 0 for size in spec.shape):
                    raise CaseError(f"{path}.shape", f"needs sizes of at least 0, got {spec.shape}")
                if np.prod([float(size) for size in spec.shape]) > MAX_ELEMENTS:
                    raise CaseError(f"{path}.shape", f"{spec.shape} has over {MAX_ELEMENTS:,} elements")
                if group == "params" and spec.dtype != "case":
                    raise CaseError(f"{path}.dtype", "a parameter has the case's dtype; drop this field")
                defined.add(name)
        usable = defined - set(self.params)
        terms = {term.name for term in self.loss}
        for path, node in self.operations():
            _check_name(f"{path}.name", node.name, defined)
            for index, used in enumerate(node.inputs):
                if used not in usable:
                    where = "is a loss term, which nothing can use" if used in terms else _known(usable)
                    raise CaseError(f"{path}.inputs[{index}]", f"{used!r} {where}")
            for role, used in node.params.items():
                if used not in self.params:
                    raise CaseError(f"{path}.params.{role}", f"{used!r} {_known(set(self.params))}")
            defined.add(node.name)
            if node.name not in terms:
                usable.add(node.name)
        if not self.loss:
            raise CaseError("$.network.loss", "needs at least one term: there is nothing to differentiate")


class RuleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which schedule, or which clipping, with which hyperparameters."""

    name: str
    hypers: dict[str, bool | int | float | str | tuple[int, ...]] = {}


class OptimizerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which optimizer, with which hyperparameters; the schedule of its learning rate, the clipping of its gradients."""

    name: str
    hypers: dict[str, bool | int | float | str | tuple[int, ...]] = {}
    schedule: RuleSpec | None = None
    clip: RuleSpec | None = None


class _CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    schema: str
    title: str = ""
    network: Network
    dtype: Dtype = "float64"
    values: dict[str, Any] = {}
    optimizer: OptimizerSpec | None = None
    steps: int = 0
    record: list[int] = []


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that a comparison needs: network, numbers, dtype, optimizer, number of steps.

    `values` holds an array for every input, constant and parameter of the network, read-only and of the
    case's dtype. `record` lists the steps whose quantities are recorded; empty means a default choice.
    The title is for people and is not part of the case's identity.
    """

    network: Network
    values: Mapping[str, Array]
    dtype: Dtype = "float64"
    optimizer: OptimizerSpec | None = None
    steps: int = 0
    record: tuple[int, ...] = field(default=())
    title: str = ""

    def __post_init__(self) -> None:
        """Check everything that can be checked without the cards; `Cards.check` does the rest."""
        self.network.check()
        if not 0 <= self.steps <= 1_000_000:
            raise CaseError("$.steps", f"needs a number from 0 to 1,000,000, got {self.steps}")
        if self.steps and self.optimizer is None:
            raise CaseError("$.optimizer", f"is missing: {self.steps} steps need one")
        for index, step in enumerate(self.record):
            if not 0 <= step <= self.steps:
                raise CaseError(f"$.record[{index}]", f"needs a step from 0 to {self.steps}, got {step}")
        specs = self.network.tensors()
        for name in self.values:
            if name not in specs:
                raise CaseError(f"$.values.{name}", _known(set(specs)))
        values: dict[str, Array] = {}
        for name, spec in specs.items():
            if name not in self.values:
                raise CaseError(f"$.values.{name}", f"is missing: needs an array of shape {tuple(spec.shape)}")
            dtype = self.dtype if spec.dtype == "case" else spec.dtype
            values[name] = _tensor(f"$.values.{name}", self.values[name], tuple(spec.shape), dtype)
        object.__setattr__(self, "values", values)

    @cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the case's content, without its title."""
        return hashlib.sha256(self._encode(title="")).hexdigest()[:16]

    @cached_property
    def recorded(self) -> tuple[int, ...]:
        """The steps to record, ascending: `record`, or a default choice that has the first and the last two."""
        if self.record:
            return tuple(sorted(set(self.record)))
        if self.steps <= RECORD_IN_FULL:
            return tuple(range(self.steps + 1))
        spaced = np.geomspace(1, self.steps, RECORD_IN_FULL)
        return tuple(sorted({0, 1, self.steps - 1, *(int(step) for step in np.rint(spaced))}))

    @property
    def params(self) -> dict[str, Array]:
        """The parameters alone, in the network's order."""
        return {name: self.values[name] for name in self.network.params}

    def to_json(self) -> bytes:
        """The canonical form: one case, one sequence of bytes.

        >>> from harness.case import Case
        >>> text = b'''{"schema": "gradparity.case/1", "values": {"x": [3, "-0x1p-1074"], "w": [-0.0, "nan"]},
        ...   "network": {"inputs": {"x": {"shape": [2]}}, "params": {"w": {"shape": [2]}},
        ...               "loss": [{"name": "L", "op": "l2_penalty", "params": {"w": "w"}}]}}'''
        >>> case = Case.from_json(text)
        >>> case.values["x"], case.values["w"]
        (array([ 3.e+000, -5.e-324]), array([-0., nan]))
        >>> Case.from_json(case.to_json()).to_json() == case.to_json()
        True
        """
        return self._encode(title=self.title)

    def _encode(self, title: str) -> bytes:
        wire = _CaseFile(
            schema=SCHEMA,
            title=title,
            network=self.network,
            dtype=self.dtype,
            values={name: _plain(array.tolist()) for name, array in self.values.items()},
            optimizer=self.optimizer,
            steps=self.steps,
            record=list(self.record),
        )
        return msgspec.json.encode(wire, order="sorted")

    @staticmethod
    def from_json(text: bytes | str) -> Case:
        """Read a case file.

        Raises:
            CaseError: with the JSON path of the offending field. Nothing else, whatever the bytes are.
        """
        try:
            wire = msgspec.json.decode(text, type=_CaseFile)
        except msgspec.ValidationError as error:
            raise _placed(error, text) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CaseError("$", str(error)) from None
        except RecursionError:
            raise CaseError("$", "is nested too deeply to be a case") from None
        if wire.schema != SCHEMA:
            raise CaseError("$.schema", f"needs {SCHEMA!r}, got {wire.schema!r}; another version wrote this file")
        return Case(
            network=wire.network,
            values=wire.values,
            dtype=wire.dtype,
            optimizer=wire.optimizer,
            steps=wire.steps,
            record=tuple(wire.record),
            title=wire.title,
        )


def _placed(error: msgspec.ValidationError, text: bytes | str) -> CaseError:
    """The validator's error with its place; it names the list, and which element is found here."""
    message, _, path = str(error).partition(" - at `")
    path = path.rstrip("`") or "$"
    if path == "$.dtype":
        *first, last = get_args(Dtype)
        got = msgspec.json.decode(text)["dtype"]
        return CaseError(path, f"needs {', '.join(first)} or {last}, got {got!r}")
    for group in ("nodes", "loss"):
        start = f"$.network.{group}[...]"
        if path.startswith(start):
            for index, item in enumerate(msgspec.json.decode(text)["network"][group]):
                try:
                    msgspec.convert(item, Node)
                except msgspec.ValidationError:
                    return CaseError(path.replace(start, f"$.network.{group}[{index}]"), message)
    return CaseError(path, message)


def _check_name(path: str, name: str, defined: set[str]) -> None:
    if not name or len(name) > 100 or not name.isprintable():
        raise CaseError(path, f"needs a printable name of 1 to 100 characters, got {name[:120]!r}")
    if name == LOSS:
        raise CaseError(path, f"{name!r} is the name of the total loss; choose another")
    if name in defined:
        raise CaseError(path, f"{name!r} is defined twice; names are shared by nodes, parameters and inputs")


def _known(names: set[str]) -> str:
    return "is not defined before this point; known here: " + (", ".join(sorted(names)) or "nothing")


def _tensor(path: str, given: Any, shape: Shape, dtype: str) -> Array:
    if isinstance(given, np.ndarray):
        if given.shape != shape:
            raise CaseError(path, f"needs shape {shape}, as the network says, got {given.shape}")
        if given.dtype.kind not in ("iu" if dtype == "int64" else "fiu"):
            raise CaseError(path, f"needs {dtype}, got {given.dtype}")
        array = given.astype(dtype)
    else:
        numbers: list[float | int] = []
        _flatten(path, given, shape, numbers, whole=dtype == "int64")
        with np.errstate(over="ignore"):
            array = np.array(numbers, dtype=dtype).reshape(shape)
        lost = np.isinf(array.ravel()) & np.isfinite(np.array(numbers, dtype=np.float64))
        if lost.any():
            raise CaseError(path, f"{numbers[int(lost.argmax())]!r} is too large for {dtype}")
    array.flags.writeable = False
    return array


def _flatten(path: str, given: Any, shape: Shape, numbers: list[float | int], *, whole: bool) -> None:
    if not shape:
        numbers.append(_number(path, given, whole=whole))
        return
    if not isinstance(given, list) or len(given) != shape[0]:
        got = f"a list of {len(given)}" if isinstance(given, list) else f"{given!r:.60}"
        raise CaseError(path, f"needs a list of {shape[0]} (shape {shape}, as the network says), got {got}")
    for index, item in enumerate(given):
        _flatten(f"{path}[{index}]", item, shape[1:], numbers, whole=whole)


def _number(path: str, given: Any, *, whole: bool) -> float | int:
    if whole:
        if isinstance(given, int) and not isinstance(given, bool) and -(2**63) <= given < 2**63:
            return given
        raise CaseError(path, f"needs a whole number of 64 bits, got {given!r:.60}")
    if isinstance(given, str):
        text = given.strip().lower()
        try:
            return float.fromhex(text) if "0x" in text else float(text)
        except (ValueError, OverflowError):
            pass
    elif isinstance(given, int | float) and not isinstance(given, bool):
        try:
            return float(given)
        except OverflowError:
            raise CaseError(path, "is too large for float64") from None
    raise CaseError(path, f"needs a number, 'nan', 'inf', '-inf' or a hexadecimal float, got {given!r:.60}")


def _plain(numbers: Any) -> Any:
    if isinstance(numbers, list):
        return [_plain(item) for item in numbers]
    return str(numbers) if isinstance(numbers, float) and not np.isfinite(numbers) else numbers


__all__ = ["SCHEMA", "Case", "Dtype", "Hyper", "Network", "Node", "OptimizerSpec", "RuleSpec", "TensorSpec"]
