"""Cases of convolutions, pooling and batch norm."""

from functools import partial

import torch
from torch import nn

from differentiate import differentiate, fill

SHAPES = {1: (3, 4, 11), 2: (2, 4, 7, 9)}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d}
NORMS = {(5, 3): nn.BatchNorm1d, (3, 4, 5): nn.BatchNorm1d, (3, 2, 4, 3): nn.BatchNorm2d}


def one(draw, module, limit, x):
    config = {"module": repr(module)}
    return differentiate(
        draw, {"input": x}, fill(draw, module, limit), lambda: {"output": module(x)}, config
    )


def convolution(axes, out, size, options, draw):
    module = CONVOLUTIONS[axes](SHAPES[axes][1], out, size, **options)
    return one(draw, module, 0.7, draw.normal(*SHAPES[axes]))


def pool(module, axes, draw):
    return one(draw, module, 1.0, draw.normal(*SHAPES[axes]))


def batch_norm(shape, affine, training, draw):
    """Statistics before are `before.running_mean` and `before.running_var`, and after as they are
    called."""
    module = NORMS[shape](shape[1], affine=affine, momentum=0.25, eps=0.01).to(draw.dtype)
    module.train(training)
    with torch.no_grad():
        module.running_mean.copy_(draw.normal(shape[1]))
        module.running_var.copy_(draw.uniform(shape[1], low=0.5, high=2.0))
    before = {f"before.{name}": value.clone() for name, value in module.named_buffers()}
    tensors, config = one(draw, module, 1.5, draw.normal(*shape, scale=2.0))
    after = dict(module.named_buffers())
    for values in (before, after):
        tensors.update({name: value for name, value in values.items() if "running" in name})
    return tensors, config


CASES = {
    "conv1d": partial(convolution, 1, 5, 3, {}),
    "conv1d_options": partial(
        convolution, 1, 6, 4, {"stride": 2, "padding": 3, "dilation": 2, "groups": 2, "bias": False}
    ),
    "conv2d": partial(convolution, 2, 3, (3, 2), {}),
    "conv2d_options": partial(
        convolution, 2, 6, (3, 2),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 3), "groups": 2},
    ),
    "conv2d_depthwise": partial(convolution, 2, 8, (3, 3), {"padding": 1, "groups": 4}),
    "conv2d_pointwise": partial(convolution, 2, 5, 1, {"bias": False}),
    "max_pool1d": partial(pool, nn.MaxPool1d(3), 1),
    "max_pool2d": partial(
        pool, nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2)), 2
    ),
    "avg_pool1d": partial(pool, nn.AvgPool1d(3, stride=2, padding=1), 1),
    "avg_pool2d": partial(pool, nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 1)), 2),
    "avg_pool2d_exclude": partial(
        pool, nn.AvgPool2d((3, 2), padding=(1, 1), count_include_pad=False), 2
    ),
    "batch_norm": partial(batch_norm, (5, 3), True, True),
    "batch_norm_1d": partial(batch_norm, (3, 4, 5), False, True),
    "batch_norm_2d": partial(batch_norm, (3, 2, 4, 3), True, True),
    "batch_norm_evaluation": partial(batch_norm, (3, 4, 5), True, False),
}  # fmt: skip
