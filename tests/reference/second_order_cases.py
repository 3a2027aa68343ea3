"""Gradients of gradients through modules: of a penalty on the gradient by the input, and products of the Hessian of a
loss with a vector. All in F64, not rounded."""

from functools import partial

import torch
from torch import nn

from differentiate import fill


class LastStep(nn.Module):
    """What a GRU gives after its last step, as one number a sequence."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


NETWORKS = {
    "feed_forward": lambda: nn.Sequential(
        nn.Linear(5, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 6), nn.GELU(), nn.Linear(6, 1)
    ),
    "gru": LastStep,
}


def second_order(kind, shape, draw):
    network = NETWORKS[kind]()
    parameters = fill(draw, network, 0.8)
    x = draw.normal(*shape).requires_grad_(True)
    vectors = {name: draw.normal(*value.shape) for name, value in parameters.items()}
    weights = list(parameters.values())

    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    penalty = ((slope.square().sum() + 1e-3).sqrt() - 1).square()
    of_penalty = torch.autograd.grad(penalty, weights, allow_unused=True)

    loss = network(x).square().mean()
    first = torch.autograd.grad(loss, weights, create_graph=True)
    product = sum((g * v).sum() for g, v in zip(first, vectors.values()))
    hessian_products = torch.autograd.grad(product, weights, allow_unused=True)

    tensors = {"input": x, "penalty": penalty, "loss": loss, **parameters}
    for i, name in enumerate(parameters):
        zero = torch.zeros_like(weights[i])
        tensors[f"vector.{name}"] = vectors[name]
        tensors[f"penalty.{name}"] = zero if of_penalty[i] is None else of_penalty[i]
        tensors[f"product.{name}"] = zero if hessian_products[i] is None else hessian_products[i]
    arrays = {name: value.detach().double().numpy() for name, value in tensors.items()}
    return arrays, {"network": kind}


CASES = {
    "second_order_feed_forward": partial(second_order, "feed_forward", (4, 5)),
    "second_order_gru": partial(second_order, "gru", (3, 2, 3)),
}
