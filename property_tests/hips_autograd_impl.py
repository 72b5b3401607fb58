"""A fourth column: the same networks through HIPS autograd, as a user would bring them.

    gradparity run --impl numpy --impl hips_autograd_impl:HipsAutograd

It records only what has to be recorded, and says of everything else that it does not implement it.
"""

import autograd
import autograd.numpy as np

from harness import Case, NotSupportedError, Quantity, Trace


def dense(p, x, layout="rows"):
    y = x @ p["W"] if layout == "rows" else p["W"] @ x
    return y + p["b"] if "b" in p else y


def squared_error(p, prediction, target, reduction="sum"):
    squares = (prediction - target) ** 2
    divisors = {"sum": 1, "half_sum": 2, "mean": squares.size}
    if reduction not in divisors:
        raise NotSupportedError(f"hips: squared_error has no reduction {reduction!r} here")
    return np.sum(squares) / divisors[reduction]


OPERATIONS = {
    "dense": dense,
    "identity": lambda p, x: x,
    "relu": lambda p, x: np.where(x > 0, x, 0),
    "sigmoid": lambda p, x: 1 / (1 + np.exp(-x)),
    "tanh": lambda p, x: np.tanh(x),
    "add": lambda p, a, b: a + b,
    "subtract": lambda p, a, b: a - b,
    "multiply": lambda p, a, b: a * b,
    "square": lambda p, x: x**2,
    "power": lambda p, x, exponent: x**exponent,
    "squared_error": squared_error,
    "value": lambda p, x: np.sum(x),
}


class HipsAutograd:
    name = "hips"

    def run(self, case: Case) -> Trace:
        for _, node in case.network.operations():
            if node.op not in OPERATIONS:
                raise NotSupportedError(f"hips: no operation {node.op!r}")
        if case.optimizer is not None and case.optimizer.name != "sgd":
            raise NotSupportedError(f"hips: no optimizer {case.optimizer.name!r}")

        def loss(params):
            values = {**case.values, **params}
            for _, node in case.network.operations():
                roles = {role: values[name] for role, name in node.params.items()}
                inputs = [values[name] for name in node.inputs]
                values[node.name] = OPERATIONS[node.op](roles, *inputs, **node.hypers)
            return sum(values[term.name] for term in case.network.loss)

        params, losses, quantities = case.params, [], {}
        for step in range(case.steps + 1):
            value, grads = autograd.value_and_grad(loss)(params)
            losses.append(value)
            if step in case.recorded:
                quantities[Quantity(step, "value", "loss")] = np.array(value)
                quantities |= {Quantity(step, "grad", name): grad for name, grad in grads.items()}
                quantities |= {Quantity(step, "param", name): w for name, w in params.items()}
            if step < case.steps:
                params = {name: w - case.optimizer.hypers["lr"] * grads[name] for name, w in params.items()}
        return Trace(quantities, np.array(losses, case.dtype))
