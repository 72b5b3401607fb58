"""Class labels: whole numbers beside an array that has an axis of classes more.

    class_axis   -1    scores (batch, classes) or (batch, time, classes)       optax's default
                 1     scores (batch, classes) or (batch, classes, time)       torch
                 0     scores (classes, batch)                                 a sample per column
                       labels (batch) or (batch, time) in each

    reduction    "sum"            n = 1
                 "mean"           n = number of labels that count: 0 / 0 when there are none, as in torch
                 "sample_mean"    n = number of samples, along the labels' `samples_axis`, whether they count or not

A label equal to `ignore_index` does not count: it adds nothing to the loss and has no gradient. It is -1, or a class,
such as that of the padding; torch's default, -100, stands for none here, as a case's labels are classes otherwise.
Optax ignores none, takes -1 for the last class, and makes -100 not a number; its users mask.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit
from reference_impls.losses import _reduction

CLASS_AXIS = HyperSpec(default=-1, choices=(-1, 0, 1), meaning="where the classes stand")
LABELLED = {
    **_reduction.REDUCTION,
    "class_axis": CLASS_AXIS,
    "ignore_index": HyperSpec(default=-100, low=-100, typical=(-1, 0), meaning="the label that does not count"),
}
"""The hyperparameters of a loss that has labels."""


def output_shape(inputs, params, *, reduction, samples_axis, class_axis, ignore_index, **hypers):
    """A scalar."""
    scores, labels = inputs
    if len(scores) < 2 or class_axis >= len(scores):
        raise Misfit(f"needs scores of two axes or more, got {scores}")
    if -100 < ignore_index < -1:
        raise Misfit(f"needs -1, a class or -100 (none) as the label that does not count, got {ignore_index}")
    needed = tuple(size for axis, size in enumerate(scores) if axis != class_axis % len(scores))
    if labels != needed:
        raise Misfit(f"needs labels of shape {needed}, got {labels}, because scores are {scores}")
    _reduction.needs_samples_axis(labels, reduction, samples_axis)
    return ()


def label_range(inputs, params, *, class_axis, ignore_index, **hypers):
    """Classes, counted from 0; and -1, where that is the label that does not count."""
    return -1 if ignore_index == -1 else 0, inputs[0][class_axis]


def separable(axis, *, reduction, class_axis, **hypers):
    """A mean is no sum over the samples, and what stands along the axis of classes is no sample."""
    return reduction == "sum" and (class_axis > axis or (class_axis == -1 and axis == 0))


def one_hot(labels, classes):
    """Plain truth values with the classes last; a label that is no class is none of them."""
    return labels[..., None] == np.arange(classes)


def divisor(labels, reduction, samples_axis, ignore_index):
    """The n of the table above."""
    if reduction == "mean":
        return int(np.count_nonzero(labels != ignore_index))
    return _reduction.divisor(labels.shape, reduction, samples_axis)
