"""The classic mistakes of hand-written backpropagation, as far as today's cards can express them.

Those of `harness.mutants`, which the tests use, and more: mistakes of a few units in the last place, of constants
left in float32, of single samples, elements and optimizer details. Each is a text exchanged in a card or in the NumPy
executor, so what follows from it follows in the trace as it would from the real mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants
from harness.registry import installed_cards


@dataclass(frozen=True)
class Bug:
    """A mistake, and what a net needs for it to show.

    `op` is the operation that the judge is expected to name, "" where there is no single one; `a or b` for what is
    changed in the one and may show in the other first. `convention`: right in another way, to be called `convention`
    at most, so nobody misses it. The rest: see `population.small_architecture`.
    """

    mutant: Mutant
    op: str
    square: bool = False
    shape: str = ""
    reduction: str = ""
    convention: bool = False

    @property
    def name(self) -> str:
        """The mutant's."""
        return self.mutant.name

    @property
    def mistake(self) -> str:
        """In words."""
        return self.mutant.mistake

    @property
    def in_executor(self) -> bool:
        """Whether it is in the chaining of the cards rather than in one of them."""
        return self.mutant.target == NUMPY

    @property
    def in_optimizer(self) -> bool:
        """Whether it takes an update to show."""
        return self.op.endswith(" update")


NUMPY = "reference_impls.numpy_impl"
DX_DW = 'dx, dW = dy @ p["W"].T, x.T @ dy'
DB = '"b": np.sum(dy, axis=samples)'
FIRST = "np.arange(x.shape[1] * dy.shape[1]).reshape(x.shape[1], -1) == 0"
"""Source text: true at [0, 0] of dW."""


def _dx(new: str) -> tuple[str, str]:
    return DX_DW, f"dx, dW = {new}, x.T @ dy"


def _dw(new: str) -> tuple[str, str]:
    return DX_DW, f'dx, dW = dy @ p["W"].T, {new}'


def _one(factor: str) -> tuple[str, str]:
    return _dw(f"((x.T @ dy) * np.where({FIRST}, {factor}, 1)).astype(x.dtype)")


def _dense(name: str, change: tuple[str, str], mistake: str, *, square: bool = False, forward: bool = False) -> Bug:
    op = "dense forward" if forward else "dense backward"
    return Bug(Mutant(f"dense_{name}", "dense", *change, mistake), op, square)


def _in(op: str, name: str, old: str, new: str, mistake: str, reduction: str = "") -> Bug:
    target = op.partition(" ")[0]
    return Bug(Mutant(f"{target}_{name}", target, old, new, mistake), op, reduction=reduction)


DENSE = (
    _dense("forgotten_mean", _dw("x.T @ dy * len(x)"), "dW times the number of samples: the 1/m forgotten"),
    _dense("second_mean", _dw("x.T @ dy / len(x)"), "1/m applied to dW a second time"),
    _dense("doubled", _dw("2 * (x.T @ dy)"), "gradients of the step before not set to zero: dW twice"),
    _dense(
        "bias_times_samples",
        (DB, DB.replace("np.sum(dy, axis=samples)", "(np.sum(dy, axis=samples) * len(dy))")),
        "db times the number of samples",
    ),
    _dense("bias_sign", (DB, DB.replace("np.sum", "-np.sum")), "db subtracted"),
    _dense(
        "bias_last_zero",
        (DB, DB.replace("dy,", "dy * (np.arange(dy.shape[1]) < dy.shape[1] - 1),")),
        "the last output's db stays 0",
    ),
    _dense(
        "own_output", ("return y, x", "return y, y"), "dW from the layer's output instead of its input", square=True
    ),
    _dense("input_untransposed", _dw("x @ dy"), "x instead of xᵀ: fits when batch and width are equal", square=True),
    _dense("sample_dropped", _dw("x[:-1].T @ dy[:-1]"), "the last sample left out of dW"),
    _dense("detached", _dx('0 * (dy @ p["W"].T)'), "detached: nothing flows to the layer below"),
    _dense("stale_weights", _dx('dy @ (p["W"] - 0.1 * (x.T @ dy)).T'), "dx with the weights after the update, lr 0.1"),
    _dense(
        "stale_weights_small_step", _dx('dy @ (p["W"] - 1e-4 * (x.T @ dy)).T'), "dx with the weights after, lr 0.0001"
    ),
    _dense("clipped", _dw("np.clip(x.T @ dy, -1, 1)"), "gradient clipping left switched on"),
    _dense(
        "float32_product",
        ('y = y + p["b"]', 'y = (x.astype(np.float32) @ p["W"].astype(np.float32)).astype(x.dtype) + p["b"]'),
        "x W in float32 inside a float64 network",
        forward=True,
    ),
    _dense(
        "float32_gradient",
        _dw("(x.T.astype(np.float32) @ dy.astype(np.float32)).astype(x.dtype)"),
        "dW in float32 inside a float64 network",
    ),
    _dense(
        "float16_gradient",
        _dw("(x.T.astype(np.float16) @ dy.astype(np.float16)).astype(x.dtype)"),
        "dW in half precision",
    ),
    _dense("bias_twice", ('y = y + p["b"]', 'y = y + 2 * p["b"]'), "the bias added twice", forward=True),
    _dense("all_by_1e-5", _dw("(x.T @ dy) * (1 + 1e-5)"), "every dW times 1 + 1e-5"),
    _dense("one_by_1e-3", _one("1 + 1e-3"), "dW[0, 0] times 1 + 1e-3"),
    _dense("one_by_1e-5", _one("1 + 1e-5"), "dW[0, 0] times 1 + 1e-5"),
    _dense("one_by_1e-9", _one("1 + 1e-9"), "dW[0, 0] times 1 + 1e-9"),
    _dense("one_nan", _one("np.nan"), "dW[0, 0] is NaN"),
    _dense("one_zero", _one("0"), "dW[0, 0] is 0"),
)
"""In the dense layer."""

OPEN_AT_ZERO = Mutant("relu_open_at_zero", "relu", "alive = x > 0", "alive = x >= 0", "x >= 0: slope 1 at exactly 0")
LAYERS = (
    Bug(OPEN_AT_ZERO, "relu backward", convention=True),
    _in(
        "relu backward",
        "leaks",
        "np.where(alive, dy, 0)",
        "np.where(alive, dy, dy * 0.01)",
        "the slope of a leaky ReLU",
    ),
    _in(
        "relu backward",
        "gate_by_gradient",
        "np.where(alive, dy, 0)",
        "np.where(alive & (dy > 0), dy, 0)",
        "guided backpropagation: negative gradients stopped as well",
    ),
    _in("relu forward", "capped", "np.maximum(x, 0), alive", "np.clip(x, 0, 6), alive", "ReLU6 where ReLU is meant"),
    _in(
        "sigmoid forward",
        "overflows",
        "y = 1 / (1 + np.exp(-x))",
        "y = np.exp(x) / (1 + np.exp(x))",
        "exp(x) / (1 + exp(x)): inf / inf far right",
    ),
    _in(
        "sigmoid forward",
        "clipped",
        "y = 1 / (1 + np.exp(-x))",
        "y = 1 / (1 + np.exp(-np.clip(x, -10, 10)))",
        "its argument limited to 10 against overflow",
    ),
    _in(
        "sigmoid forward",
        "in_float32",
        "np.exp(-x)",
        "np.exp(-x.astype(np.float32)).astype(x.dtype)",
        "its exponential in float32 inside a float64 network",
    ),
    _in("sigmoid backward", "y_square", "dy * y * (1 - y)", "dy * y * y", "y² instead of y (1 - y)"),
    _in(
        "tanh forward",
        "overflows",
        "y = np.tanh(x)",
        "y = (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))",
        "tanh as on paper: inf / inf far out, and no digits near 0",
    ),
    _in(
        "tanh forward",
        "cancels",
        "y = np.tanh(x)",
        "y = 1 - 2 / (np.exp(2 * x) + 1)",
        "1 - 2 / (exp(2x) + 1): right, but without digits near 0",
    ),
    _in(
        "tanh backward",
        "slope_of_tanh",
        "(1 - np.square(y))",
        "(1 - np.square(np.tanh(y)))",
        "a derivative that applies tanh itself, given the activation",
    ),
    _in("tanh backward", "slope_forgotten", "(dy * (1 - np.square(y)),)", "(dy,)", "the factor 1 - a² is missing"),
    _in(
        "add backward",
        "one_branch",
        "return (dy, dy), {}",
        "return (dy, 0 * dy), {}",
        "nothing flows through the shortcut",
    ),
    _in(
        "add backward",
        "halved",
        "return (dy, dy), {}",
        "return (dy / 2, dy / 2), {}",
        "the gradient shared out, not copied",
    ),
    _in("identity backward", "detached", "return (dy,), {}", "return (0 * dy,), {}", "detached at the output"),
)
"""In activations and sums."""

LOGISTIC = "q = 1 / (1 + np.exp(-z))"
LOSSES = (
    _in(
        "squared_error backward",
        "mean_of_samples",
        "dL * (2 * d) / divisor(d.shape, reduction, samples_axis)",
        "dL * (2 * d) / divisor(d.shape, 'sample_mean' if reduction == 'mean' else reduction, samples_axis)",
        "the mean over samples in the gradient, over all elements in the loss",
        "mean",
    ),
    _in(
        "squared_error backward",
        "sample_mean_of_all",
        "dL * (2 * d) / divisor(d.shape, reduction, samples_axis)",
        "dL * (2 * d) / divisor(d.shape, 'mean' if reduction == 'sample_mean' else reduction, samples_axis)",
        "the mean over all elements in the gradient, over samples in the loss",
        "sample_mean",
    ),
    _in(
        "binary_cross_entropy backward",
        "epsilon",
        "- t / q) / n, 0)",
        "- t / (q + 1e-7)) / n, 0)",
        "1e-7 against division by 0",
    ),
    _in(
        "binary_cross_entropy forward",
        "log_epsilon",
        "np.log(q), np.log(1 - q)",
        "np.log(q + 1e-12), np.log(1 - q + 1e-12)",
        "1e-12 in the logarithms against log 0",
    ),
    _in(
        "binary_cross_entropy forward or binary_cross_entropy backward",
        "clips",
        "if clip > 0:",
        "clip = 1e-7; q = np.clip(q, clip, 1 - clip)\n    if False:",
        "probabilities limited to 1e-7 unasked",
    ),
    _in("binary_cross_entropy_with_logits backward", "mean_forgotten", LOGISTIC, f"{LOGISTIC}; n = 1", "1/m missing"),
    _in("binary_cross_entropy_with_logits backward", "sign", LOGISTIC, f"{LOGISTIC}; dL = -dL", "t - q: uphill"),
    _in(
        "binary_cross_entropy_with_logits forward",
        "overflows",
        "softplus = np.logaddexp(0, z)",
        "softplus = np.log(1 + np.exp(z))",
        "log(1 + exp z) as on paper: infinite far right, without digits far left",
    ),
    _in(
        "binary_cross_entropy_with_logits forward",
        "threshold",
        "softplus = np.logaddexp(0, z)",
        "softplus = np.where(z > 20, z, np.log1p(np.exp(np.minimum(z, 20))))",
        "softplus taken as z above 20",
    ),
)
"""In losses."""

ADAM_UPDATE = "return w - lr * m_hat / (np.sqrt(v_hat) + eps)"
UPDATES = (
    _in(
        "adam update",
        "eps_before_correction",
        "(np.sqrt(v_hat) + eps)",
        "((np.sqrt(v) + eps) / np.sqrt(1 - beta2**t))",
        "ε added before the bias is corrected",
    ),
    _in("adam update", "eps_1e-7", "np.sqrt(v_hat) + eps", "np.sqrt(v_hat) + 10 * eps", "ε 1e-7 where 1e-8 is asked"),
    _in("adam update", "eps_0", "np.sqrt(v_hat) + eps", "np.sqrt(v_hat)", "ε forgotten"),
    _in(
        "adam update",
        "uncorrected_mean",
        "m_hat = m / (1 - beta1**t)",
        "m_hat = m",
        "the first moment's bias uncorrected",
    ),
    _in(
        "adam update",
        "second_correction_off_by_one",
        "v_hat = v / (1 - beta2**t)",
        "v_hat = v / (1 - beta2 ** (t + 1))",
        "the second correction counts from 2",
    ),
    _in(
        "adam update",
        "float32_correction",
        "v_hat = v / (1 - beta2**t)",
        "v_hat = v / float(np.float32(1) - np.float32(beta2) ** np.float32(t))",
        "the bias correction in float32 inside a float64 network",
    ),
    _in("adam update", "sums_gradients", "(1 - beta1) * g", "g", "m is a sum, as in momentum, not a mean"),
    _in(
        "adam update",
        "betas_exchanged",
        "(1 - beta2) * np.square(g)",
        "(1 - beta1) * np.square(g)",
        "β₁ in the place of β₂",
    ),
    _in(
        "adam update",
        "decay_coupled",
        "(1 - beta1) * g",
        "(1 - beta1) * (g + 0.01 * w)",
        "L2 decay added to the gradient",
    ),
    _in(
        "adam update",
        "decay_decoupled",
        ADAM_UPDATE,
        ADAM_UPDATE.replace("w -", "w * (1 - 0.01 * lr) -"),
        "AdamW's decay in Adam",
    ),
    _in("adam update", "uphill", ADAM_UPDATE, ADAM_UPDATE.replace("w -", "w +"), "a step along the gradient"),
    _in("sgd update", "ten_times", "w - lr * g", "w - 10 * lr * g", "ten times the learning rate"),
    _in("sgd update", "decay", "w - lr * g", "w - lr * (g + 1e-4 * w)", "weight decay that nobody asked for"),
    _in(
        "sgd update",
        "float32_rate",
        "w - lr * g",
        "w - float(g.astype('float32').dtype.type(lr)) * g",
        "the learning rate in float32",
    ),
    _in("sgd update", "by_1e-5", "w - lr * g", "w - lr * (g * (1 + 1e-5))", "the step too long by 1e-5"),
)
"""In optimizers."""

_SQUARE = {"dense_rows_untransposed_weight", "dense_transposed_weight_gradient"}
_FORWARD = {"dense_bias_forgotten", "l2_penalty_without_square"}
_ABSENT = {
    "dense_columns_untransposed_weight",
    "adam_decay_decoupled",
    "binary_cross_entropy_with_logits_mean_forgotten",
    "binary_cross_entropy_with_logits_weight_of_both_classes",
    "sgd_dampened_from_the_start",
    "sgd_decay_uphill",
    "sgd_momentum_as_mean",
    "sgd_nesterov_forgotten",
    "sgd_velocity_uphill",
}
"""What the population does not use (columns, decay, momentum, weighted classes), and what stands here already."""
_PLACED = {
    "weights_updated_before_use": ("dense backward", ""),
    "last_contribution_wins": ("", "shared"),
    "penalty_without_gradient": ("", "penalty"),
    "penalty_missing_from_loss": ("", "penalty"),
    "steps_counted_from_two": ("adam update", ""),
    "state_forgotten": ("adam update", ""),
}


def classic(targets: Sequence[str]) -> tuple[Bug, ...]:
    """The mutants that the tests use, where the population has the card they are in."""
    found = [
        Bug(mutant, _classic_op(mutant), mutant.name in _SQUARE)
        for mutant in card_mutants(installed_cards())
        if mutant.target in targets and mutant.name not in _ABSENT
    ]
    in_numpy = [one for one in EXECUTOR_MUTANTS if one.name in _PLACED]
    found += [Bug(one, *_PLACED[one.name][:1], shape=_PLACED[one.name][1]) for one in in_numpy]
    return tuple(found)


def _classic_op(mutant: Mutant) -> str:
    if mutant.target in ("sgd", "adam"):
        return f"{mutant.target} update"
    return f"{mutant.target} {'forward' if mutant.name in _FORWARD else 'backward'}"


CARDS = (
    "dense",
    "identity",
    "relu",
    "sigmoid",
    "tanh",
    "add",
    "squared_error",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "l2_penalty",
    "sgd",
    "adam",
)
"""The cards that the population has."""

BUGS = (*classic(CARDS), *DENSE, *LAYERS, *LOSSES, *UPDATES)
"""All of them."""
