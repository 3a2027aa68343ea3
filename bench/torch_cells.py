"""The cells of bench/cells/ once more, over PyTorch and JAX: what compare_cells.py runs in turn.

A cell is step(o, w, x, states) -> states; o has the operations by one name for either library.
States, weights and their order are those of the cell's file in bench/cells/, which cites the paper.
"""

import math


class Torch:
    """Operations of PyTorch."""

    def __init__(self, torch):
        self.torch = torch
        for name in ("exp", "tanh", "sigmoid", "relu", "maximum", "where", "floor", "abs", "sin", "cos",
                     "rsqrt", "ones_like"):
            setattr(self, name, getattr(torch, name))
        self.silu = torch.nn.functional.silu
        self.softplus = torch.nn.functional.softplus

    def cat(self, parts):
        return self.torch.cat(parts, -1)

    def softmax(self, x, axis):
        return self.torch.softmax(x, axis)

    def sum(self, x, axis, keepdims=False):
        return self.torch.sum(x, axis, keepdim=keepdims)

    def parts(self, x, count):
        return self.torch.chunk(x, count, -1)

    def keep(self, x, rate):
        """1 with probability 1 - rate, else 0, for each element."""
        return (self.torch.rand_like(x) >= rate).to(x.dtype)


class Jax:
    """Operations of JAX."""

    def __init__(self, jax):
        numpy = jax.numpy
        self.jax, self.numpy = jax, numpy
        for name in ("exp", "tanh", "maximum", "where", "floor", "abs", "sin", "cos", "ones_like"):
            setattr(self, name, getattr(numpy, name))
        self.sigmoid, self.relu, self.silu = jax.nn.sigmoid, jax.nn.relu, jax.nn.silu
        self.softplus, self.rsqrt = jax.nn.softplus, jax.lax.rsqrt
        self.key = jax.random.PRNGKey(0)

    def cat(self, parts):
        return self.numpy.concatenate(parts, -1)

    def softmax(self, x, axis):
        return self.jax.nn.softmax(x, axis)

    def sum(self, x, axis, keepdims=False):
        return self.numpy.sum(x, axis, keepdims=keepdims)

    def parts(self, x, count):
        return self.numpy.split(x, count, -1)

    def keep(self, x, rate):
        return self.jax.random.bernoulli(self.key, 1 - rate, x.shape).astype(x.dtype)


def indrnn(o, w, x, s):
    return (o.relu(x @ w[0].T + w[2] + w[1] * s[0]),)


def sru(o, w, x, s):
    u, uf, ur = o.parts(x @ w[0].T, 3)
    f = o.sigmoid(uf + w[1] * s[1] + w[3])
    r = o.sigmoid(ur + w[2] * s[1] + w[4])
    c = f * s[1] + (1 - f) * u
    return r * c + (1 - r) * x, c


def qrnn(o, w, x, s):
    z, f, gate = o.parts(x @ w[0].T + w[2] + s[2] @ w[1].T, 3)
    f = o.sigmoid(f)
    c = f * s[1] + (1 - f) * o.tanh(z)
    return o.sigmoid(gate) * c, c, x


def mingru(o, w, x, s):
    z, h = o.parts(x @ w[0].T + w[1], 2)
    z = o.sigmoid(z)
    return ((1 - z) * s[0] + z * h,)


def minlstm(o, w, x, s):
    f, i, h = o.parts(x @ w[0].T + w[1], 3)
    f, i = o.sigmoid(f), o.sigmoid(i)
    return (f / (f + i) * s[0] + i / (f + i) * h,)


def lru(o, w, x, s):
    size, angle, gamma = o.exp(-o.exp(w[2])), o.exp(w[3]), o.exp(w[4])
    re, im = size * o.cos(angle), size * o.sin(angle)
    b_re, b_im = o.parts(x @ w[0].T, 2)
    z_re = re * s[1] - im * s[2] + gamma * b_re
    z_im = re * s[2] + im * s[1] + gamma * b_im
    return o.cat([z_re, z_im]) @ w[1].T + w[5] * x, z_re, z_im


def unicornn(o, w, x, s):
    dt = 0.05 * o.sigmoid(w[3])
    force = o.tanh(x @ w[0].T + w[2] + w[1] * s[0])
    z = s[1] - dt * (force + 0.9 * s[0])
    return s[0] + dt * z, z


def scrn(o, w, x, s):
    slow = 0.05 * (x @ w[0].T) + 0.95 * s[1]
    return o.sigmoid(slow @ w[1].T + x @ w[2].T + s[0] @ w[3].T), slow


def lstm_gates(o, a, c):
    i, f, g, out = o.parts(a, 4)
    c = o.sigmoid(f) * c + o.sigmoid(i) * o.tanh(g)
    return o.sigmoid(out) * o.tanh(c), c


def lstm_projection(o, w, x, s):
    h, c = lstm_gates(o, x @ w[0].T + w[2] + s[0] @ w[1].T, s[1])
    return h @ w[3].T, c


def phased_lstm(o, w, x, s):
    h, c = lstm_gates(o, x @ w[0].T + w[2] + s[0] @ w[1].T, s[1])
    u = (s[2] - w[4]) / w[3]
    phi = u - o.floor(u)
    k = o.where(phi < 0.25, 4 * phi, o.where(phi < 0.5, 2 - 4 * phi, 0.001 * phi))
    return s[0] + k * (h - s[0]), s[1] + k * (c - s[1]), s[2] + 1


def hyper_lstm(o, w, x, s):
    small, small_c = lstm_gates(o, x @ w[2].T + w[5] + s[0] @ w[3].T + s[2] @ w[4].T, s[3])

    def scale(features, blocks):
        z = (small @ features.T).reshape(x.shape[0], 4, 1, 16)
        return (z @ blocks).reshape(x.shape[0], -1)

    a = scale(w[6], w[9]) * (s[0] @ w[1].T) + scale(w[7], w[10]) * (x @ w[0].T)
    h, c = lstm_gates(o, a + scale(w[8], w[11]) + w[12], s[1])
    return h, c, small, small_c


def highway(o, w, x, s):
    h = s[0]
    for depth in range(3):
        a = h @ w[1 + 2 * depth].T + w[2 + 2 * depth]
        if depth == 0:
            a = a + x @ w[0].T
        new, t = o.parts(a, 2)
        t = o.sigmoid(t)
        h = o.tanh(new) * t + h * (1 - t)
    return (h,)


def gru(o, a, b, h):
    ar, az, an = o.parts(a, 3)
    br, bz, bn = o.parts(b, 3)
    n = o.tanh(an + o.sigmoid(ar + br) * bn)
    return n + o.sigmoid(az + bz) * (h - n)


def block_gru(o, w, x, s):
    part = w[1].shape[1]
    b = s[0].reshape(x.shape[0], 1, 8, 1, part) @ w[1].reshape(3, 8, part, part)
    return (gru(o, x @ w[0].T + w[2], b.reshape(x.shape[0], -1) + w[3], s[0]),)


def gru_zoneout(o, w, x, s):
    n = gru(o, x @ w[0].T + w[2], s[0] @ w[1].T + w[3], s[0])
    return (s[0] + o.keep(n, 0.1) * (n - s[0]),)


def gru_variational(o, w, x, s):
    return gru(o, x @ w[0].T + w[2], (s[0] * s[1]) @ w[1].T + w[3], s[0]), s[1]


def clockwork(o, w, x, s):
    n = o.tanh(x @ w[0].T + w[2] + s[0] @ w[1].T)
    parts = []
    for k, (new, old) in enumerate(zip(o.parts(n, 4), o.parts(s[0], 4))):
        turns = s[1] / (1 << k)
        parts.append(o.where(turns - o.floor(turns) < 0.5 / (1 << k), new, old))
    return o.cat(parts), s[1] + 1


def slstm(o, w, x, s):
    part = w[1].shape[1]
    b = s[0].reshape(x.shape[0], 1, 4, 1, part) @ w[1].reshape(4, 4, part, part)
    i, f, z, out = o.parts(x @ w[0].T + w[2] + b.reshape(x.shape[0], -1), 4)
    m = o.maximum(f + s[3], i)
    i, f = o.exp(i - m), o.exp(f + s[3] - m)
    c, n = f * s[1] + i * o.tanh(z), f * s[2] + i
    return o.sigmoid(out) * (c / n), c, n, m


def mlstm(o, w, x, s):
    batch, d = s[0].shape
    q, k, v, out = o.parts(x @ w[0].T + w[2], 4)
    i, f = o.parts(x @ w[1].T + w[3], 2)
    k = k / math.sqrt(d)
    m = o.maximum(f + s[3], i)
    i, f = o.exp(i - m), o.exp(f + s[3] - m)
    memory = f[:, :, None] * s[1].reshape(batch, d, d) + (i * v)[:, :, None] * k[:, None, :]
    n = f * s[2] + i * k
    size = o.abs(o.sum(n * q, -1, True))
    read = (memory @ q[:, :, None])[:, :, 0]
    h = o.sigmoid(out) * (read / o.maximum(size, o.ones_like(size)))
    return h, memory.reshape(batch, d * d), n, m


def delta_net(o, w, x, s):
    batch, d = s[0].shape

    def unit(t):
        a = o.silu(t)
        return a * o.rsqrt(o.sum(a * a, -1, True) + 1e-6)

    q, k, v = o.parts(x @ w[0].T, 3)
    q, k, beta = unit(q), unit(k), o.sigmoid(x @ w[1].T)
    memory = s[1].reshape(batch, d, d)
    change = beta * (v - (memory @ k[:, :, None])[:, :, 0])
    memory = memory + change[:, :, None] * k[:, None, :]
    return (memory @ q[:, :, None])[:, :, 0], memory.reshape(batch, d * d)


def memory_slots(o, w, x, s):
    batch, d = s[0].shape
    memory = s[1].reshape(batch, 8, d)

    def address(key):
        return o.softmax((memory @ key[:, :, None]) / math.sqrt(d), 1)

    query, a = o.parts(x @ w[0].T, 2)
    read = o.sum(address(query) * memory, 1)
    h = o.tanh(a + read @ w[1].T + w[4] + s[0] @ w[2].T)
    key, erase, add = o.parts(h @ w[3].T, 3)
    b = address(key)
    memory = memory * (1 - b * o.sigmoid(erase)[:, None, :]) + b * add[:, None, :]
    return h, memory.reshape(batch, 8 * d)


def s6(o, w, x, s):
    batch, channels = s[0].shape
    u = x @ w[0].T
    delta = o.softplus(u[:, :32] @ w[1].T + w[2])
    b, c = u[:, 32:40], u[:, 40:]
    decay = o.exp(delta[:, :, None] * -o.exp(w[3].reshape(channels, 8)))
    h = decay * s[1].reshape(batch, channels, 8) + (delta * x)[:, :, None] * b[:, None, :]
    return o.sum(h * c[:, None, :], -1) + w[4] * x, h.reshape(batch, channels * 8)


def lmu(o, w, x, s):
    u = x @ w[0].T + s[0] @ w[1].T + s[1] @ w[2].T
    m = s[1] @ w[3].T + u * w[4]
    return o.tanh(x @ w[5].T + s[0] @ w[6].T + m @ w[7].T), m


def ltc(o, w, x, s):
    units = s[0].shape[1]

    def synapses(v, first):
        weight, slope, mu, potential = (w[first + k].reshape(v.shape[1], units) for k in range(4))
        opened = weight * o.sigmoid(slope * (v[:, :, None] - mu))
        return o.sum(opened * potential, 1), o.sum(opened, 1)

    v = s[0]
    sensed, sensed_conductance = synapses(x, 0)
    for _ in range(6):
        current, conductance = synapses(v, 4)
        v = ((w[8] * v + w[9] * w[10] + sensed + current)
             / (w[8] + w[9] + sensed_conductance + conductance))
    return (v,)


CELLS = {function.__name__.replace("_", "-"): function for function in (
    indrnn, sru, qrnn, mingru, minlstm, lru, unicornn, scrn, lstm_projection, phased_lstm, hyper_lstm,
    highway, block_gru, gru_zoneout, gru_variational, clockwork, slstm, mlstm, delta_net,
    memory_slots, s6, lmu, ltc)}
