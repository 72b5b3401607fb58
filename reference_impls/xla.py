"""What XLA's CPU compiler cannot be given (jaxlib 0.10.2): it would end the whole process.

Where the kernel of a convolution is larger than what it is applied to, XLA exchanges the two. Some axes it then takes
for such as look the same from both sides: without padding, and lhs_dilation = kernel = stride + 1. They do where both
are of one size; elsewhere there is a fatal "Window dimensions do not match RHS shape". An ordinary convolution meets
this on the way back to x, with a kernel of 2, stride 2 and padding 1 along one axis.
"""

from harness.errors import NotSupportedError


def refuse_fatal(jax, x, W, stride, padding, dilation, groups):
    """Raise `NotSupportedError` for a convolution whose gradient for x cannot be compiled.

    Groups are compiled as they are in float32, and first taken apart in float64.
    """
    back = []
    for size, width, step, pad, apart in zip(x.shape[2:], W.shape[2:], stride, padding, dilation, strict=True):
        span = apart * (width - 1)
        moves, left_over = divmod(size + 2 * pad - span - 1, step)
        back.append((moves + 1, width, 1, span - pad, span - pad + left_over, step, apart))
    if groups == 1 or x.dtype == "float64":
        _refuse(jax, back)


def refuse_fatal_transposed(jax, x, W, stride, padding, dilation):
    """Raise `NotSupportedError` for a transposed convolution that cannot be compiled, or its gradient for W cannot."""
    there, back = [], []
    for size, width, step, pad, apart in zip(x.shape[2:], W.shape[2:], stride, padding, dilation, strict=True):
        margin = apart * (width - 1) - pad
        there.append((size, width, 1, margin, margin, step, apart))
        back.append((size, (size - 1) * step + 1 + margin - pad, apart, margin, margin, step, 1))
    _refuse(jax, there)
    _refuse(jax, back)


def _refuse(jax, convolution):
    """By axis: sizes of operand and kernel, stride, padding before and after, dilations of operand and kernel."""
    fatal, kernels, sizes = False, 1, 1
    for size, kernel, stride, before, after, lhs_dilation, rhs_dilation in convolution:
        plain = before == after == 0 and rhs_dilation == 1
        if plain and lhs_dilation == kernel == stride + 1:
            fatal = fatal or size != kernel
        elif not (plain and lhs_dilation == stride == 1 and kernel == size):
            full = size == stride == rhs_dilation == 1 and before == after == kernel - 1
            kernels, sizes = kernels * kernel, sizes * (kernel if full else size)
    if fatal and kernels > sizes and jax.default_backend() == "cpu":
        raise NotSupportedError("XLA's CPU compiler would end the process at this convolution or its gradient")
