"""Cases of recurrent cells that PyTorch does not have, each written out gate by gate from its
equations, with the gradients by PyTorch's autograd.

A cell here is a dictionary of its parameters' shapes, in hidden sizes, the names of its states, and
a function of one time step. Parameters have the library's names; a gate's share of one is cut out
of it where it is used, and no two gates share a product, as they do in the library.
"""

from functools import partial

import torch
from torch.nn.functional import layer_norm

from differentiate import differentiate

TIME, BATCH, INPUT, HIDDEN = 6, 4, 3, 5


def block(p, name, k):
    """Gate k's rows of a parameter; 0 for a bias that there is not."""
    return p[name][k * HIDDEN : (k + 1) * HIDDEN] if name in p else 0.0


def affine(p, x, h, k):
    from_x = x @ block(p, "weight_ih", k).T + block(p, "bias_ih", k)
    return from_x + h @ block(p, "weight_hh", k).T + block(p, "bias_hh", k)


def peephole_half(p, x, h, c, half):
    """The output and the new cell state of an LSTM with peepholes, from blocks 4 half to 4 half + 3
    of the weights and biases (i f g o) and 3 half to 3 half + 2 of the peepholes (i f o)."""
    i, f, g, o = (affine(p, x, h, 4 * half + k) for k in range(4))
    p_i, p_f, p_o = (block(p, "weight_ch", 3 * half + k) for k in range(3))
    new = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
    return torch.sigmoid(o + p_o * new) * torch.tanh(new), new


def peephole_lstm(p, x, h, c):
    return peephole_half(p, x, h, c, 0)


def peephole_cerebral_lstm(p, x, h, u, l):
    upper, u = peephole_half(p, x, h, u, 0)
    lower, l = peephole_half(p, x, h, l, 1)
    return upper + lower, u, l


def cerebral_gru(p, x, h, u, l):
    def kept(memory, half):
        r = torch.sigmoid(affine(p, x, h, 3 * half))
        z = torch.sigmoid(affine(p, x, h, 3 * half + 1))
        n = 3 * half + 2
        recalled = h @ block(p, "weight_hh", n).T + block(p, "bias_hh", n)
        from_x = x @ block(p, "weight_ih", n).T + block(p, "bias_ih", n)
        return (1 - z) * torch.tanh(from_x + r * recalled) + z * memory

    u, l = kept(u, 0), kept(l, 1)
    return u + l, u, l


def gru_reset_before(p, x, h):
    def inputs(k, state):
        from_x = x @ block(p, "weight_ih", k).T + block(p, "bias", k)
        return from_x + state @ block(p, "weight_hh", k).T

    r, z = torch.sigmoid(inputs(0, h)), torch.sigmoid(inputs(1, h))
    return ((1 - z) * torch.tanh(inputs(2, r * h)) + z * h,)


def layernorm_lstm(p, x, h, c):
    def norm(v, name):
        return layer_norm(v, v.shape[-1:], p[f"gain_{name}"], p.get(f"bias_{name}"), 1e-5)

    z = norm(x @ p["weight_ih"].T, "ih") + norm(h @ p["weight_hh"].T, "hh")
    i, f, g, o = z.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(norm(c, "c")), c


def dense(gates):
    matrices = {"weight_ih": (gates, INPUT), "weight_hh": (gates, HIDDEN)}
    return {**matrices, "bias_ih": (gates,), "bias_hh": (gates,)}


CELLS = {
    "peephole-lstm": (peephole_lstm, "hc", {**dense(4), "weight_ch": (3,)}),
    "peephole-cerebral-lstm": (peephole_cerebral_lstm, "hul", {**dense(8), "weight_ch": (6,)}),
    "cerebral-gru": (cerebral_gru, "hul", dense(6)),
    "gru-reset-before": (
        gru_reset_before,
        "h",
        {"weight_ih": (3, INPUT), "weight_hh": (3, HIDDEN), "bias": (3,)},
    ),
    "layernorm-lstm": (
        layernorm_lstm,
        "hc",
        {**dense(4), "gain_ih": (4,), "gain_hh": (4,), "gain_c": (1,), "bias_c": (1,)},
    ),
}


def cell(name, bias, draw):
    """One layer from given states. States are [batch, hidden]. Gains are drawn around 1. No input
    is near zero: layer norm would divide by the little that is left, and f32 show nothing else."""
    step, states, shapes = CELLS[name]
    parameters = {}
    for key, (rows, *columns) in shapes.items():
        if bias or not key.startswith("bias"):
            low, high = (0.2, 1.8) if key.startswith("gain") else (-0.8, 0.8)
            parameters[f"{key}_l0"] = draw.uniform(rows * HIDDEN, *columns, low=low, high=high)
    inputs = {"input": draw.projection(TIME, BATCH, INPUT)}
    for state in states:
        inputs[f"{state}0"] = 0.5 * draw.projection(BATCH, HIDDEN)

    def outputs():
        p = {key.removesuffix("_l0"): value for key, value in parameters.items()}
        state, y = [inputs[f"{s}0"] for s in states], []
        for x in inputs["input"]:
            state = step(p, x, *state)
            y.append(state[0])
        return {"output": torch.stack(y), **{f"{s}n": t for s, t in zip(states, state)}}

    config = {"cell": name, "input": INPUT, "hidden": HIDDEN, "bias": bias}
    return differentiate(draw, inputs, parameters, outputs, config)


CASES = {
    f"{name.replace('-', '_')}{'' if bias else '_nobias'}": partial(cell, name, bias)
    for name in CELLS
    for bias in (True, False)
}
