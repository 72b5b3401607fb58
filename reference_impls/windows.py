"""Windows that slide along an axis: which place each of them reads, and which of them reads each place.

A window of `kernel` places, `dilation` apart, begins at -padding and moves on by `stride`: at offset k, window o reads
place o stride + k dilation - padding. Two tables hold this one equation, solved for the place and for the window. What
has no solution points to the place after the last, where a line of padding is put.
"""

import math

import numpy as np

from harness.spec import Misfit


def how_many(size, kernel, stride, padding, dilation=1):
    """How many windows there are.

    >>> how_many(5, kernel=3, stride=2, padding=1)
    3
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def places_read(size, kernel, stride, padding, dilation=1):
    """By offset and window, the place that is read; `size` in the padding.

    >>> places_read(5, kernel=3, stride=2, padding=1).tolist()
    [[5, 1, 3], [0, 2, 4], [1, 3, 5]]
    """
    window = np.arange(how_many(size, kernel, stride, padding, dilation))
    place = window * stride + np.arange(kernel)[:, None] * dilation - padding
    return np.where((place >= 0) & (place < size), place, size)


def windows_reading(size, kernel, stride, padding, dilation=1):
    """By offset and place, the window that reads it there; the number of windows where none does.

    >>> windows_reading(5, kernel=3, stride=2, padding=1).tolist()
    [[3, 1, 3, 2, 3], [0, 3, 1, 3, 2], [3, 0, 3, 1, 3]]
    """
    windows = how_many(size, kernel, stride, padding, dilation)
    start = np.arange(size) - np.arange(kernel)[:, None] * dilation + padding
    found = (start % stride == 0) & (start >= 0) & (start // stride < windows)
    return np.where(found, start // stride, windows)


def gathered(x, table, *along, beyond=0.0):
    """What is found along the windows of x (M, N, *image): (M, *kernel, N, *windows); `beyond` outside of the image.

    `table` is one of the two above, and `along` are its arguments, each with a number for every axis of the image.
    """
    tables = [table(*axis) for axis in zip(*along, strict=True)]
    axes = len(tables)
    x = np.pad(x, ((0, 0), (0, 0), *((0, 1),) * axes), constant_values=beyond)
    return x[(slice(None), np.arange(x.shape[1]).reshape(-1, *(1,) * axes), *_open(tables))]


def put_back(windows, *along):
    """Of `windows` (M, *kernel, N, *windows), the sum of what stands where each place is read: (M, N, *image).

    The transpose of `gathered` (col2im); `along` are the arguments of `windows_reading`.
    """
    tables = [windows_reading(*axis) for axis in zip(*along, strict=True)]
    axes = len(tables)
    windows = np.pad(windows, (*((0, 0),) * (axes + 2), *((0, 1),) * axes))
    offsets = [np.arange(len(table)).reshape(-1, *(1,) * (2 * axes - axis)) for axis, table in enumerate(tables)]
    second = np.arange(windows.shape[1 + axes]).reshape(-1, *(1,) * axes)
    return np.sum(windows[(slice(None), *offsets, second, *_open(tables))], axis=tuple(range(1, 1 + axes)))


def _open(tables):
    """Tables, one for each axis, with axes such that they broadcast to (*kernel, 1, *windows)."""
    axes = len(tables)
    opened = []
    for axis, table in enumerate(tables):
        shape = [1] * (2 * axes + 1)
        shape[axis], shape[axes + 1 + axis] = table.shape
        opened.append(table.reshape(shape))
    return opened


def in_rows(windows, groups):
    """Gathered windows as a matrix for each group of the first axis: a row by that and offset, a column by the rest."""
    axes = (windows.ndim - 2) // 2
    rows, columns = math.prod(windows.shape[: 1 + axes]), math.prod(windows.shape[1 + axes :])
    return windows.reshape(groups, rows // groups, columns)


def check_slides(axes, kernel, stride, padding, dilation):
    """Raise `Misfit` unless each has a whole number for every axis, and none is too small."""
    least = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
    for (name, low), given in zip(least.items(), (kernel, stride, padding, dilation), strict=True):
        if len(given) != axes or any(type(one) is not int or one < low for one in given):
            raise Misfit(f"needs {axes} whole number(s) of at least {low} as {name}, got {given}")


def windows_that_fit(image, kernel, stride, padding, dilation):
    """How many windows there are along every axis; all arguments have a whole number for each.

    Raises:
        Misfit: a number is missing, or too small, or no window fits in.
    """
    check_slides(len(image), kernel, stride, padding, dilation)
    found = tuple(how_many(*axis) for axis in zip(image, kernel, stride, padding, dilation, strict=True))
    if min(found) < 1:
        raise Misfit(f"has no window: kernel {kernel} at dilation {dilation} on {image} with padding {padding}")
    return found


def pooled(x, axes, kernel, stride, padding):
    """The shape of x (batch, channels, *image) after pooling, where the padding is at most half a window.

    Raises:
        Misfit: as `windows_that_fit`, or x has not so many axes.
    """
    if len(x) != 2 + axes:
        raise Misfit(f"needs x of {2 + axes} axes (batch, channels, ...), got {x}")
    found = windows_that_fit(x[2:], kernel, stride, padding, (1,) * axes)
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise Misfit(f"needs a padding of at most half a window, got {padding} for windows of {kernel}")
    return (*x[:2], *found)
