"""The cells of bench/literature.c once more, over PyTorch and JAX: what compare_cells.py runs in turn.

A cell is step(o, w, x, states) -> states; o has the operations by one name for either library. States
are those of the cell's text in cells/, of its table in bench/cells/ or of the library's cell, in that
order. CELLS says which parameters of it each of w holds: those with + between them one below the other.
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
    new, of_f, of_r, highway = o.parts(x @ w[0].T, 4)
    f, r = o.sigmoid(of_f + w[1] * s[1] + w[3]), o.sigmoid(of_r + w[2] * s[1] + w[4])
    c = f * s[1] + (1 - f) * new
    return r * c + (1 - r) * math.sqrt(3) * highway, c


def qrnn(o, w, x, s):
    z, f, out = o.parts(x @ w[0].T + w[2] + s[2] @ w[1].T, 3)
    f = o.sigmoid(f)
    c = f * s[1] + (1 - f) * o.tanh(z)
    return o.sigmoid(out) * c, c, x


def mingru(o, w, x, s):
    z, new = o.parts(x @ w[0].T + w[1], 2)
    z = o.sigmoid(z)
    return ((1 - z) * s[0] + z * new,)


def minlstm(o, w, x, s):
    f, i, new = o.parts(x @ w[0].T + w[1], 3)
    f, i = o.sigmoid(f), o.sigmoid(i)
    return (f / (f + i) * s[0] + i / (f + i) * new,)


def lru(o, w, x, s):
    r, angle = o.exp(-o.exp(w[3])), o.exp(w[4])
    re, im, scale = r * o.cos(angle), r * o.sin(angle), o.exp(w[5]) * (1 - r * r) ** 0.5
    b_re, b_im = o.parts(x @ w[0].T, 2)
    z_re = re * s[1] - im * s[2] + scale * b_re
    z_im = re * s[2] + im * s[1] + scale * b_im
    return z_re @ w[1].T - z_im @ w[2].T + w[6] * x, z_re, z_im


def unicornn(o, w, x, s):
    dt = 0.19 * o.sigmoid(w[3])
    z = s[1] - dt * (o.tanh(x @ w[0].T + w[2] + w[1] * s[0]) + 30.65 * s[0])
    return s[0] + dt * z, z


def scrn(o, w, x, s):
    slow = 0.05 * (x @ w[0].T) + 0.95 * s[1]
    return o.sigmoid(slow @ w[1].T + x @ w[2].T + s[0] @ w[3].T), slow


def lstm_gates(o, a, c):
    i, f, g, out = o.parts(a, 4)
    c = o.sigmoid(f) * c + o.sigmoid(i) * o.tanh(g)
    return o.sigmoid(out) * o.tanh(c), c


def projected_lstm(o, w, x, s):
    h, c = lstm_gates(o, x @ w[0].T + w[2] + s[0] @ w[1].T + w[3], s[1])
    return h @ w[4].T, c


def phased_lstm(o, w, x, s):
    h, c = lstm_gates(o, x @ w[0].T + w[2] + s[0] @ w[1].T, s[1])
    turns = s[2] / o.exp(w[3]) - w[4]
    phi = turns - o.floor(turns)
    k = o.where(phi < 0.025, 40 * phi, o.where(phi < 0.05, 2 - 40 * phi, 0.001 * phi))
    return s[0] + k * (h - s[0]), s[1] + k * (c - s[1]), s[2] + 1


def hyper_lstm(o, w, x, s):
    a = o.cat([s[0], x]) @ w[3].T + w[5] + s[2] @ w[4].T
    small, small_c = lstm_gates(o, a, s[1])

    def scale(z, d):
        z = z.reshape(x.shape[0], 4, 1, -1)
        return (z @ d.reshape(4, -1, z.shape[-1]).swapaxes(1, 2)).reshape(x.shape[0], -1)

    of_h = scale(small @ w[6].T + w[9], w[11]) * (s[0] @ w[1].T)
    of_x = scale(small @ w[7].T + w[10], w[12]) * (x @ w[0].T)
    h, c = lstm_gates(o, of_h + of_x + scale(small @ w[8].T, w[13]) + w[2], s[3])
    return h, small_c, small, c


def rhn(o, w, x, s):
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


def blocks(w, h, gates, heads):
    """Products with matrices that have blocks on the diagonal."""
    part = w.shape[1]
    w = w.reshape(gates, heads, part, part).swapaxes(2, 3)
    return (h.reshape(h.shape[0], 1, heads, 1, part) @ w).reshape(h.shape[0], -1)


def block_gru(o, w, x, s):
    r, z, n = o.parts(blocks(w[1], s[0], 3, 8), 3)
    return (gru(o, x @ w[0].T + w[2], o.cat([r, z, n + w[3]]), s[0]),)


def gru_zoneout(o, w, x, s):
    n = gru(o, x @ w[0].T + w[2], s[0] @ w[1].T + w[3], s[0])
    return (s[0] + o.keep(n, 0.1) * (n - s[0]),)


def gru_variational(o, w, x, s):
    """The mask of bench/literature.c."""
    return (gru(o, x @ w[0].T + w[2], (s[0] * 0.5) @ w[1].T + w[3], s[0]),)


def clockwork(o, w, x, s):
    n, parts = list(o.parts(x @ w[0].T + w[1], 4)), o.parts(s[0], 4)
    for k in range(4):
        for i, told in enumerate(o.parts(parts[k] @ w[2 + k].T, k + 1)):
            n[i] = n[i] + told
    new = [o.tanh(a) for a in n]
    for k in range(1, 4):
        turns = s[1] / (1 << k)
        new[k] = o.where(turns - o.floor(turns) == 0, new[k], parts[k])
    return o.cat(new), s[1] + 1


def slstm(o, w, x, s):
    z, i, f, out = o.parts(x @ w[0].T + w[2] + blocks(w[1], s[0], 4, 4), 4)
    f = -o.softplus(-f)
    m = o.maximum(f + s[1], i)
    i, f = o.exp(i - m), o.exp(f + s[1] - m)
    c, n = f * s[2] + i * o.tanh(z), f * s[3] + i
    return o.sigmoid(out) * (c / n), m, c, n


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
    decay = o.exp(delta[:, :, None] * -o.exp(w[3]))
    h = decay * s[1].reshape(batch, channels, 8) + (delta * x)[:, :, None] * b[:, None, :]
    return o.sum(h * c[:, None, :], -1) + w[4] * x, h.reshape(batch, channels * 8)


def lmu(o, w, x, s):
    u = x @ w[0].T + s[0] @ w[1].T + s[1] @ w[2].T
    m = s[1] @ w[6].T + u * w[7]
    return o.tanh(x @ w[3].T + s[0] @ w[4].T + m @ w[5].T), m


def lmu_constants(torch):
    """A and B of a window of 784 time steps, after Euler's method, in f64."""
    i = torch.arange(64, dtype=torch.float64)
    below = -((-1.0) ** (i[:, None] - i))
    a = (2 * i[:, None] + 1) * torch.where(i[:, None] < i, -torch.ones(64, 64).double(), below)
    return [torch.eye(64, dtype=torch.float64) + a / 784, (2 * i + 1) * (-1.0) ** i / 784]


def ltc(o, w, x, s):
    def synapses(v, first):
        weight, slope, mu, potential = w[first:first + 4]
        opened = weight * o.sigmoid(slope * (v[:, :, None] - mu))
        return o.sum(opened * potential, 1), o.sum(opened, 1)

    v = s[0]
    sensed, sensed_conductance = synapses(x, 0)
    for _ in range(6):
        current, conductance = synapses(v, 4)
        v = ((w[8] * v + w[9] * w[10] + sensed + current)
             / (w[8] + w[9] + sensed_conductance + conductance))
    return (v,)


def gates(names, *patterns):
    """{"W_{}"} of the gates i and f: "W_i+W_f"."""
    return " ".join("+".join(pattern.format(name) for name in names) for pattern in patterns)


GRU = "weight_ih weight_hh bias_ih bias_hh"
CELLS = {
    "indrnn": (indrnn, "W u b"),
    "sru": (sru, "W+W_f+W_r+W_x v_f v_r b_f b_r"),
    "qrnn": (qrnn, gates("zfo", "W_{}", "V_{}", "b_{}")),
    "mingru": (mingru, gates("zh", "W_{}", "b_{}")),
    "minlstm": (minlstm, gates("fih", "W_{}", "b_{}")),
    "lru": (lru, "B_re+B_im C_re C_im nu theta gamma d"),
    "unicornn": (unicornn, "V w b c"),
    "scrn": (scrn, "B P A R"),
    "projected-lstm": (projected_lstm, GRU + " weight_hr"),
    "phased-lstm": (phased_lstm, gates("ifco", "W_{}", "U_{}", "b_{}") + " log_tau shift"),
    "hyper-lstm": (hyper_lstm, gates("ifgo", "W_{}", "U_{}", "b_{}", "P_{}", "Q_{}", "p_{}", "Z_h{}",
                                     "Z_x{}", "Z_b{}", "z_h{}", "z_x{}", "D_h{}", "D_x{}", "D_b{}")),
    "rhn": (rhn, gates("HT", "W_{}", "R_{}1", "b_{}1", "R_{}2", "b_{}2", "R_{}3", "b_{}3")),
    "block-gru": (block_gru, gates("rzn", "W_{}", "U_{}", "b_{}") + " c_n"),
    "gru-zoneout": (gru_zoneout, GRU),
    "gru-variational": (gru_variational, GRU),
    "clockwork": (clockwork, "W b V_1 V_2 V_3 V_4"),
    "slstm": (slstm, gates("zifo", "W_{}", "R_{}", "b_{}")),
    "mlstm": (mlstm, "W W_if b b_if"),
    "delta-net": (delta_net, "W W_beta"),
    "memory-slots": (memory_slots, "W W_r U V b"),
    "s6": (s6, "W_1 W_2 b a d"),
    "lmu": (lmu, "e_x e_h e_m W_x W_h W_m"),
    "ltc": (ltc, "w_x g_x mu_x e_x w_v g_v mu_v e_v c l e_l"),
}
CONSTANTS = {"lmu": lmu_constants}
