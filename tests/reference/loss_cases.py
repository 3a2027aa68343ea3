"""Cases of losses and of activation functions."""

from functools import partial

import torch
from torch.nn import functional as F

from differentiate import differentiate

REDUCTIONS = ("mean", "sum", "none")
IGNORED = 2


def cross_entropy(reduction, ignore, smoothing, scale, draw, weighted=False):
    """Two of twelve targets, or more, are the ignored class; it stays a class that label smoothing
    spreads probability to. Weights of classes are in `weight`, which in PyTorch has no gradient."""
    logits = draw.normal(12, 7, scale=scale)
    target = draw.integers(7, 12)
    target[3] = target[8] = IGNORED
    index = IGNORED if ignore else -100
    config = {"reduction": reduction, "ignore_index": index, "label_smoothing": smoothing}
    weight = draw.uniform(7, low=0.25, high=2.0) if weighted else None

    def outputs():
        return {"output": F.cross_entropy(logits, target, weight, **config)}

    tensors, config = differentiate(draw, {"input": logits, "target": target}, {}, outputs, config)
    return ({**tensors, "weight": weight} if weighted else tensors), config


def binary_cross_entropy(reduction, draw):
    """Logits up to +-100 and targets that include 0 and 1 exactly."""
    logits = draw.normal(4, 6, scale=2.0)
    target = draw.uniform(4, 6)
    logits[0] = draw.tensor([-100.0, 100.0, -30.0, 30.0, 0.0, 0.0])
    target[0] = draw.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 1.0])

    def outputs():
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction=reduction)
        return {"output": loss}

    config = {"reduction": reduction}
    return differentiate(draw, {"input": logits, "target": target}, {}, outputs, config)


def mse(reduction, draw):
    x, target = draw.normal(4, 6), draw.normal(4, 6)

    def outputs():
        return {"output": F.mse_loss(x, target, reduction=reduction)}

    config = {"reduction": reduction}
    return differentiate(draw, {"input": x, "target": target}, {}, outputs, config)


def huber(reduction, delta, draw):
    x, target = draw.normal(4, 6), draw.normal(4, 6)

    def outputs():
        return {"output": F.huber_loss(x, target, reduction=reduction, delta=delta)}

    config = {"reduction": reduction, "delta": delta}
    return differentiate(draw, {"input": x, "target": target}, {}, outputs, config)


def activation(function, config, draw):
    """81 numbers from -30 to 30, dense around 0. Zero is left out: elu has a kink there."""
    positive = torch.logspace(-3, 1.4771, 27, dtype=torch.float64)
    x = torch.cat([draw.tensor(-positive.flip(0)), draw.normal(27), draw.tensor(positive)])
    x = x.reshape(9, 9)
    return differentiate(draw, {"input": x}, {}, lambda: {"output": function(x)}, config)


def softmax(function, dim, scale, draw):
    x = draw.normal(3, 4, 5, scale=scale)
    return differentiate(
        draw, {"input": x}, {}, lambda: {"output": function(x, dim=dim)}, {"dim": dim}
    )


def cases():
    table = {
        "cross_entropy_large_logits": partial(cross_entropy, "mean", False, 0.0, 40.0),
        "gelu": partial(activation, F.gelu, {"approximate": "none"}),
        "softplus": partial(activation, F.softplus, {"beta": 1.0}),
        "silu": partial(activation, F.silu, {}),
    }
    for alpha, name in ((1.0, "elu"), (0.5, "elu_alpha_half")):
        table[name] = partial(activation, partial(F.elu, alpha=alpha), {"alpha": alpha})
    for function in (F.softmax, F.log_softmax):
        name = function.__name__
        table[f"{name}_last"] = partial(softmax, function, -1, 2.0)
        table[f"{name}_middle"] = partial(softmax, function, 1, 2.0)
        table[f"{name}_large"] = partial(softmax, function, -1, 60.0)
    for reduction in REDUCTIONS:
        for kind in ("plain", "ignore", "smooth", "both"):
            for weighted in (False, True):
                table[f"cross_entropy_{'weighted_' if weighted else ''}{kind}_{reduction}"] = partial(
                    cross_entropy,
                    reduction,
                    kind in ("ignore", "both"),
                    0.1 if kind in ("smooth", "both") else 0.0,
                    2.0,
                    weighted=weighted,
                )
        table[f"bce_with_logits_{reduction}"] = partial(binary_cross_entropy, reduction)
        table[f"mse_{reduction}"] = partial(mse, reduction)
        table[f"huber_{reduction}"] = partial(huber, reduction, 1.0)
        table[f"huber_half_{reduction}"] = partial(huber, reduction, 0.5)
    return table


CASES = cases()
