"""The kinds of number over which one plain-NumPy source runs.

- `BallArray`: exact values, to any precision, with a rigorous radius;
- `BoundedArray`: a value and the rounding error that a correct evaluation may have (`ErrorModel`);
- `BlockArray`: the same for many cases at once;
- `SampledArray`: a value and random samples of its rounding error, to first order;
- `Tape`, `TapeArray`: reverse-mode derivatives over any of them;
- `DualArray`: forward-mode derivatives over balls, which audit the tape.

`recording` and `forcing` see and steer the branches that are taken on the way.

The vocabulary, for all kinds alike:

- ufuncs: ``add subtract multiply divide negative power matmul exp expm1 log log1p tanh sqrt logaddexp``,
  `scipy.special.erf`,
  ``greater greater_equal less less_equal equal not_equal``, ``maximum minimum absolute sign``,
  ``square reciprocal positive``, and the operators that stand for them. An exponent is a Python number;
- reductions (with axis and keepdims): ``sum mean var max min argmax argmin``;
- choices: ``where clip``;
- products: ``dot outer einsum`` (einsum written out, as 'ij,jk->ik');
- constants: ``zeros_like ones_like full_like pad``, and those of `harness.stop_gradient`; and ``shape ndim size``;
- rearrangements: indexing and slicing, ``reshape ravel transpose swapaxes moveaxis expand_dims squeeze
  broadcast_to flip roll repeat tile take take_along_axis diagonal copy atleast_1d atleast_2d concatenate
  stack vstack hstack``;
- methods: ``reshape ravel transpose sum mean max min astype copy``, and ``T shape ndim size dtype``.

Python numbers and plain arrays mix in as exact constants. Nothing is changed in place: ``x = x + y``, not
``x += y``. Whatever is not in the list raises `TypeError`.
"""

from __future__ import annotations

from harness.arrays.ball import BallArray, precision
from harness.arrays.blocks import BlockArray
from harness.arrays.bounded import BoundedArray
from harness.arrays.branches import Choice, Comparison, UndecidedBranchError, choices_of, forcing, recording, settling
from harness.arrays.dual import DualArray
from harness.arrays.error_model import ErrorModel
from harness.arrays.protocol import NumberArray
from harness.arrays.sampled import SampledArray, Sampling
from harness.arrays.tape import Tape, TapeArray
from harness.arrays.vocabulary import FUNCTIONS, UFUNCS
from harness.arrays.wide import WideArray

Known = BallArray | WideArray
"""Exact values, however they were had: both have ``mid radius float off digits`` and a shape."""

__all__ = [
    "FUNCTIONS",
    "UFUNCS",
    "BallArray",
    "BlockArray",
    "BoundedArray",
    "Choice",
    "Comparison",
    "DualArray",
    "ErrorModel",
    "Known",
    "NumberArray",
    "SampledArray",
    "Sampling",
    "Tape",
    "TapeArray",
    "UndecidedBranchError",
    "WideArray",
    "choices_of",
    "forcing",
    "precision",
    "recording",
    "settling",
]
