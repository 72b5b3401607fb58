"""What XLA's CPU compiler cannot be given (jaxlib 0.10.2): it would take the whole process with it."""

from harness.errors import NotSupportedError
from reference_impls.windows import how_many


def back_through(image, kernel, stride, padding, dilation):
    """The convolution that takes dy back to the image, as `refuse_fatal` wants it described."""
    axes = []
    for size, width, step, pad, apart in zip(image, kernel, stride, padding, dilation, strict=True):
        before = apart * (width - 1) - pad
        left_over = (size + 2 * pad - apart * (width - 1) - 1) % step
        axes.append((how_many(size, width, step, pad, apart), width, 1, before, before + left_over, step, apart))
    return axes


def refuse_fatal(jax, convolution, groups=1):
    """Refuse a convolution at whose compilation the process would end.

    It has a tuple for every axis: sizes of operand and kernel, stride, padding before and after, dilations of operand
    and kernel. Where the kernel is the larger, XLA exchanges the two. Some axes it then takes for such as look the same
    from both sides: without padding, and lhs_dilation = kernel = stride + 1. They do so where both are of one size;
    elsewhere there is a fatal "Window dimensions do not match RHS shape".

    Raises:
        NotSupportedError: this is such a convolution.
    """
    fatal, kernels, sizes = False, 1, 1
    for size, kernel, stride, before, after, lhs_dilation, rhs_dilation in convolution:
        plain = before == after == 0 and rhs_dilation == 1
        if plain and lhs_dilation == kernel == stride + 1:
            fatal = fatal or size != kernel
        elif not (plain and lhs_dilation == stride == 1 and kernel == size):
            full = size == stride == rhs_dilation == 1 and before == after == kernel - 1
            kernels, sizes = kernels * kernel, sizes * (kernel if full else size)
    if fatal and kernels > sizes and groups == 1 and jax.default_backend() == "cpu":
        raise NotSupportedError("XLA's CPU compiler would end the process at this convolution or its gradient")


def refuse_fatal_transposed(jax, image, kernel, stride, padding, dilation):
    """The same for a transposed convolution and its way back to the kernel."""
    there, back = [], []
    for size, width, step, pad, apart in zip(image, kernel, stride, padding, dilation, strict=True):
        added = apart * (width - 1) - pad
        there.append((size, width, 1, added, added, step, apart))
        back.append((size, (size - 1) * step + 1 + 2 * added - apart * (width - 1), apart, added, added, step, 1))
    refuse_fatal(jax, there)
    refuse_fatal(jax, back)
