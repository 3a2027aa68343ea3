"""Cases of cells that are files of equations (cells/, examples/cells/), in f64.

Those files are not read. A cell is run by somebody else's implementation where there is one with
the same parameters (torchrecurrent, the package of the Cerebral LSTM's author, PyTorch); else it is
written out here from its paper. Parameters have the names of the equations, and a matrix multiplies
from the left.

Of the letters of a shape, H is the hidden size, I the input's, J both together, K twice the hidden
size, D a quarter of it (that of a head), E two and F three of these, S an eighth, and M and N are
sizes of a cell's own.
"""

from functools import partial

import torch
import torchrecurrent
from cerebral_lstm import CerebralLSTMCell
from torch import nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid, pad

from differentiate import differentiate, fill

TIME, BATCH, INPUT, HIDDEN, HEADS = 5, 2, 3, 4, 4


def product(p, name, *parts):
    """A matrix with what it multiplies, side by side."""
    return torch.cat(parts, -1) @ p[name].T


def joined(p, pattern, names):
    """Parameters of several gates as one, as packages keep them."""
    return torch.cat([p[pattern.format(name)] for name in names])


def of_input(p, pattern, names):
    """Of matrices for [h, x], the columns of x; and those of h."""
    return joined(p, pattern, names)[:, HIDDEN:]


def of_state(p, pattern, names):
    return joined(p, pattern, names)[:, :HIDDEN]


# ---- Run by torchrecurrent -----------------------------------------------------------------------


def of_package(kind, parameters, states, **options):
    """A step that a cell of torchrecurrent makes. parameters(p) has its names. Where its states are
    a pair, so they are here; it has no second bias."""
    module = getattr(torchrecurrent, kind)

    def step(p, x, *state):
        cell = module(INPUT, HIDDEN, recurrent_bias=False, dtype=x.dtype, **options)
        after = functional_call(cell, parameters(p), (x, state if states > 1 else state[0]))
        return after if states > 1 else (after,)

    return step


mgu = of_package(
    "MGUCell",
    lambda p: {
        "weight_ih": of_input(p, "W_{}", "fh"),
        "weight_hh": of_state(p, "W_{}", "fh"),
        "bias_ih": joined(p, "b_{}", "fh"),
    },
    1,
)

indrnn = of_package(
    "IndRNNCell",
    lambda p: {"weight_ih": p["W"], "vector_u": p["u"], "bias_ih": p["b"]},
    1,
    nonlinearity="relu",
)


def janet(p, x, h, beta, steps):
    """Its c is its h. steps is for the first values only."""
    step = of_package(
        "JANETCell",
        lambda p: {
            "weight_ih": joined(p, "W_{}", "fc"),
            "weight_hh": joined(p, "U_{}", "fc"),
            "bias_ih": joined(p, "b_{}", "fc"),
            "beta": torch.tensor(beta, dtype=x.dtype),
        },
        2,
    )
    return step(p, x, h, h)[:1]


def cornn(p, x, y, z, **options):
    step = of_package(
        "coRNNCell",
        lambda p: {
            "weight_ih": p["V"], "weight_hh": p["W"], "weight_ch": p["W_z"], "bias_ih": p["b"],
        },  # fmt: skip
        2,
        cell_bias=False,
        **options,
    )
    return step(p, x, y, z)


def antisymmetric(p, x, h, **options):
    step = of_package(
        "AntisymmetricRNNCell",
        lambda p: {"weight_ih": p["V"], "weight_hh": p["W"], "bias_ih": p["b"]},
        1,
        **options,
    )
    return step(p, x, h)


def unicornn(p, x, y, z, **options):
    step = of_package(
        "UnICORNNCell",
        lambda p: {
            "weight_ih": p["V"], "weight_hh": p["w"], "weight_ch": p["c"], "bias_ih": p["b"],
        },  # fmt: skip
        2,
        **options,
    )
    return step(p, x, y, z)


# ---- Run by PyTorch, and by the package of the Cerebral LSTM's author ---------------------------


def lstm_cell(p, x, h, c, weight, bias, gates):
    """PyTorch's LSTM cell; gates: ours in its order, input, forget, candidate, output."""
    parameters = {
        "weight_ih": of_input(p, weight, gates),
        "weight_hh": of_state(p, weight, gates),
        "bias_ih": joined(p, bias, gates),
        "bias_hh": torch.zeros(4 * HIDDEN, dtype=x.dtype),
    }
    return functional_call(nn.LSTMCell(INPUT, HIDDEN), parameters, (x, (h, c)))


def lstm(p, x, h, c):
    return lstm_cell(p, x, h, c, "W_{}", "b_{}", "ifco")


def block_gru(p, x, h):
    """PyTorch's GRU cell with block-diagonal matrices."""
    parts = [torch.block_diag(*p[f"U_{gate}"].reshape(8, 1, 1)) for gate in "rzn"]
    zero = torch.zeros(h.shape[-1], dtype=x.dtype)
    parameters = {
        "weight_ih": joined(p, "W_{}", "rzn"),
        "weight_hh": torch.cat(parts),
        "bias_ih": joined(p, "b_{}", "rzn"),
        "bias_hh": torch.cat([zero, zero, p["c_n"]]),
    }
    return (functional_call(nn.GRUCell(INPUT, h.shape[-1]), parameters, (x, h)),)


def full_lstm(p, x, h, c, gates, weight="W_{}", recurrent="U_{}", bias="b_{}"):
    """PyTorch's LSTM cell with matrices of their own for x and h."""
    parameters = {
        "weight_ih": joined(p, weight, gates),
        "weight_hh": joined(p, recurrent, gates),
        "bias_ih": joined(p, bias, gates),
        "bias_hh": torch.zeros(4 * h.shape[-1], dtype=x.dtype),
    }
    return functional_call(nn.LSTMCell(x.shape[-1], h.shape[-1]), parameters, (x, (h, c)))


def phased_lstm(p, x, h, c, t, r_on, alpha):
    """PyTorch's LSTM cell, and the time gate of the paper."""
    new_h, new_c = full_lstm(p, x, h, c, "ifco")
    tau = torch.exp(p["log_tau"])
    phi = torch.remainder(t - p["shift"] * tau, tau) / tau
    k = torch.where(phi < r_on, 2 - 2 * phi / r_on, alpha * phi)
    k = torch.where(phi < r_on / 2, 2 * phi / r_on, k)
    return k * new_h + (1 - k) * h, k * new_c + (1 - k) * c, t + 1


def hyper_lstm(p, x, h, e, s, c):
    """PyTorch's LSTM cell twice: of the large one, weights and biases are scaled for each
    sequence."""
    s, e = full_lstm(p, torch.cat([h, x], -1), s, e, "ifgo", "P_{}", "Q_{}", "p_{}")
    after = []
    for i in range(BATCH):
        own = {}
        for gate in "ifgo":
            rows = {k: p[f"D_{k}{gate}"] @ (p[f"Z_{k}{gate}"] @ s[i] + p[f"z_{k}{gate}"]) for k in "hx"}
            own[f"W_{gate}"] = rows["x"][:, None] * p[f"W_{gate}"]
            own[f"U_{gate}"] = rows["h"][:, None] * p[f"U_{gate}"]
            own[f"b_{gate}"] = p[f"D_b{gate}"] @ (p[f"Z_b{gate}"] @ s[i]) + p[f"b_{gate}"]
        after.append(full_lstm(own, x[i], h[i], c[i], "ifgo"))
    return torch.stack([a[0] for a in after]), e, s, torch.stack([a[1] for a in after])


def three_lobes(p, x, h, *cells):
    """Three LSTM cells with one hidden state, the sum of theirs."""
    gates = [[f"{lobe}{gate}" for gate in "ifco"] for lobe in "uml"]
    lobes = [lstm_cell(p, x, h, c, "W_{}", "b_{}", g) for c, g in zip(cells, gates)]
    return sum(h for h, _ in lobes), *(c for _, c in lobes)


def cerebral_lstm(p, x, h, u, l, suffix=""):
    """The author's cell, whose matrices multiply from the right."""
    gates = [f"{half}{gate}" for half in "ul" for gate in "fico"]
    parameters = {f"W_{g}": p[f"W_{g}{suffix}"].T for g in gates}
    parameters.update({f"b_{g}": p[f"b_{g}{suffix}"] for g in gates})
    cell = CerebralLSTMCell(x.shape[-1], HIDDEN)
    h, (u, l) = functional_call(cell, parameters, (x, h, (u, l)))
    return h, u, l


def stacked_cerebral(p, x, h_2, u_1, l_1, h_1, u_2, l_2):
    h_1, u_1, l_1 = cerebral_lstm(p, x, h_1, u_1, l_1, "_1")
    h_2, u_2, l_2 = cerebral_lstm(p, h_1, h_2, u_2, l_2, "_2")
    return h_2, u_1, l_1, h_1, u_2, l_2


# ---- Written out from the papers -----------------------------------------------------------------


def cerebral_as_printed(p, x, h, u, l):
    def half(name):
        f, i, o = (
            torch.sigmoid(product(p, f"W_{name}{gate}", h, x) + p[f"b_{name}{gate}"])
            for gate in "fio"
        )
        candidate = torch.tanh(product(p, f"W_{name}c", h, x) + p[f"b_{name}c"])
        new = f * candidate + i * candidate
        return o * torch.tanh(new), new

    (upper, u), (lower, l) = half("u"), half("l")
    return upper + lower, u, l


def mingru(p, x, h):
    z = torch.sigmoid(product(p, "W_z", x) + p["b_z"])
    return (torch.lerp(h, product(p, "W_h", x) + p["b_h"], z),)


def minlstm(p, x, h):
    f, i = (torch.sigmoid(product(p, f"W_{gate}", x) + p[f"b_{gate}"]) for gate in "fi")
    return ((f * h + i * (product(p, "W_h", x) + p["b_h"])) / (f + i),)


def sru(p, x, h, c, highway_bias):
    alpha = (1 + 2 * torch.exp(torch.tensor(highway_bias, dtype=x.dtype))) ** 0.5
    f, r = (torch.sigmoid(product(p, f"W_{g}", x) + p[f"v_{g}"] * c + p[f"b_{g}"]) for g in "fr")
    c = f * c + (1 - f) * product(p, "W", x)
    return r * c + (1 - r) * product(p, "W_x", x) * alpha, c


def slstm(p, x, h, m, c, n):
    """A block of R for each head: of the units of a head, to the units of that head."""

    def raw(gate):
        blocks = p[f"R_{gate}"].reshape(HEADS, -1, h.shape[-1] // HEADS)
        of_heads = torch.einsum("kij,bkj->bki", blocks, h.reshape(BATCH, HEADS, -1))
        return product(p, f"W_{gate}", x) + of_heads.reshape(h.shape) + p[f"b_{gate}"]

    log_i, log_f = raw("i"), logsigmoid(raw("f"))
    before, m = m, torch.maximum(log_f + m, log_i)
    i, f = torch.exp(log_i - m), torch.exp(log_f + before - m)
    c, n = f * c + i * torch.tanh(raw("z")), f * n + i
    return torch.sigmoid(raw("o")) * (c / n), m, c, n


def lem(p, x, y, z, dt):
    """Not torchrecurrent's, whose y sees the old z (0.2.5)."""

    def affine(name, state):
        return product(p, f"W_{name}", state) + product(p, f"V_{name}", x) + p[f"b_{name}"]

    of_z, of_y = dt * torch.sigmoid(affine("1", y)), dt * torch.sigmoid(affine("2", y))
    z = (1 - of_z) * z + of_z * torch.tanh(affine("z", y))
    return (1 - of_y) * y + of_y * torch.tanh(affine("y", z)), z


def rhn(p, x, s, transform_bias):
    """Not torchrecurrent's, which cannot be imported (0.2.5). transform_bias is for the first
    values only."""
    for layer in "123":
        h = product(p, f"R_H{layer}", s) + p[f"b_H{layer}"]
        t = product(p, f"R_T{layer}", s) + p[f"b_T{layer}"]
        if layer == "1":
            h, t = h + product(p, "W_H", x), t + product(p, "W_T", x)
        t = torch.sigmoid(t)
        s = torch.tanh(h) * t + s * (1 - t)
    return (s,)


def qrnn(p, x, h, c, x_before):
    """The matrices of a gate as one convolution of width two, of which the last one meets x."""

    def gate(name):
        kernel = torch.stack([p[f"V_{name}"], p[f"W_{name}"]], -1)
        sequence = torch.stack([x_before, x], -1)
        return torch.conv1d(sequence, kernel, p[f"b_{name}"]).squeeze(-1)

    f = torch.sigmoid(gate("f"))
    c = f * c + (1 - f) * torch.tanh(gate("z"))
    return torch.sigmoid(gate("o")) * c, c, x


def lru(p, x, y, re, im, **first_values):
    """In complex numbers."""
    factor = torch.exp(torch.complex(-torch.exp(p["nu"]), torch.exp(p["theta"])))
    scale = torch.exp(p["gamma"]) * torch.sqrt(1 - factor.abs() ** 2)
    of_x = (x + 0j) @ torch.complex(p["B_re"], p["B_im"]).T
    z = torch.complex(re, im) * factor + of_x * scale
    y = (z @ torch.complex(p["C_re"], p["C_im"]).T).real + p["d"] * x
    return y, z.real, z.imag


def scrn(p, x, h, s, alpha):
    """Not torchrecurrent's, which has further matrices (0.2.5)."""
    s = torch.lerp(product(p, "B", x), s, alpha)
    return torch.sigmoid(product(p, "P", s) + product(p, "A", x) + product(p, "R", h)), s


def clockwork(p, x, h, t):
    """With the whole matrix, and each sequence by itself: they have times of their own."""
    quarter = h.shape[-1] // 4
    columns = [pad(p[f"V_{k}"], (0, 0, 0, (4 - k) * quarter)) for k in range(1, 5)]
    new = torch.tanh(product(p, "W", x) + h @ torch.cat(columns, 1).T + p["b"])
    rows = []
    for i in range(BATCH):
        moves = [int(t[i]) % period == 0 for period in (1, 2, 4, 8)]
        rows.append(torch.where(torch.tensor(moves).repeat_interleave(quarter), new[i], h[i]))
    return torch.stack(rows), t + 1


# ---- The cases -----------------------------------------------------------------------------------


def shapes(text):
    """{"W_f": "HJ", "b_f": "H"} of "W_f:HJ b_f:H"."""
    return dict(entry.split(":") for entry in text.split())


def of_gates(text, *gates):
    """The same of a text with {} for each gate."""
    return shapes(" ".join(text.format(*[gate] * text.count("{}")) for gate in gates))


HALVES = [half + gate for half in "ul" for gate in "fico"]
LOBES = [lobe + gate for lobe in "uml" for gate in "fico"]
CEREBRAL = of_gates("W_{}:HJ b_{}:H", *HALVES)
STACKED = {
    **of_gates("W_{}_1:HJ b_{}_1:H", *HALVES),
    **of_gates("W_{}_2:HK b_{}_2:H", *HALVES),
}

GATES = "ifgo"
OF_X_AND_H = [kind + gate for kind in "hx" for gate in GATES]
HYPER = {
    **of_gates("W_{}:HI U_{}:HH b_{}:H P_{}:MJ Q_{}:MM p_{}:M Z_b{}:NM D_b{}:HN", *GATES),
    **of_gates("Z_{}:NM z_{}:N D_{}:HN", *OF_X_AND_H),
}
# Hidden sizes other than the usual one, and sizes of a cell's own.
HIDDEN_OF = {name: 8 for name in ("slstm", "block-gru", "scrn", "clockwork")}
SIZES_OF = {"hyper-lstm": {"small": 3, "features": 2}}

# Of each file: who computes it, the step, the states (the output first) with their sizes, the
# parameters, and values of its hyperparameters other than its own.
CELLS = {
    "mgu": ("torchrecurrent", mgu, "h", of_gates("W_{}:HJ b_{}:H", "f", "h"), {}),
    "mingru": ("paper", mingru, "h", of_gates("W_{}:HI b_{}:H", "z", "h"), {}),
    "minlstm": ("paper", minlstm, "h", of_gates("W_{}:HI b_{}:H", "f", "i", "h"), {}),
    "sru": (
        "paper",
        sru,
        "h c",
        {**of_gates("W_{}:HI v_{}:H b_{}:H", "f", "r"), **shapes("W:HI W_x:HI")},
        {"highway_bias": -1.5},
    ),
    "indrnn": ("torchrecurrent", indrnn, "h", shapes("W:HI u:H b:H"), {}),
    "janet": (
        "torchrecurrent",
        janet,
        "h",
        of_gates("W_{}:HI U_{}:HH b_{}:H", "f", "c"),
        {"beta": 0.75, "steps": 30},
    ),
    "slstm": ("paper", slstm, "h m c n", of_gates("W_{}:HI R_{}:HD b_{}:H", *"zifo"), {}),
    "lem": ("paper", lem, "y z", of_gates("W_{}:HH V_{}:HI b_{}:H", *"12zy"), {"dt": 0.75}),
    "cornn": (
        "torchrecurrent",
        cornn,
        "y z",
        shapes("W:HH W_z:HH V:HI b:H"),
        {"dt": 0.25, "gamma": 1.5, "epsilon": 0.5},
    ),
    "rhn": (
        "paper",
        rhn,
        "s",
        {**of_gates("R_{}:HH b_{}:H", *"H1 T1 H2 T2 H3 T3".split()), **shapes("W_H:HI W_T:HI")},
        {"transform_bias": -1},
    ),
    "cerebral-three-lobes": (
        "PyTorch",
        three_lobes,
        "h u m l",
        of_gates("W_{}:HJ b_{}:H", *LOBES),
        {},
    ),
    "stacked-cerebral": (
        "cerebral_lstm",
        stacked_cerebral,
        "h_2 u_1 l_1 h_1 u_2 l_2",
        STACKED,
        {},
    ),
    "antisymmetric": (
        "torchrecurrent",
        antisymmetric,
        "h",
        shapes("W:HH V:HI b:H"),
        {"epsilon": 0.5, "gamma": 0.25},
    ),
    "qrnn": (
        "PyTorch",
        qrnn,
        "h c x_before:I",
        of_gates("W_{}:HI V_{}:HI b_{}:H", *"zfo"),
        {},
    ),
    "lru": (
        "paper",
        lru,
        "y:I re im",
        shapes("nu:H theta:H gamma:H d:I B_re:HI B_im:HI C_re:IH C_im:IH"),
        {"r_min": 0.5, "r_max": 0.75, "angle_min": 0.25, "angle_max": 1},
    ),
    "unicornn": (
        "torchrecurrent",
        unicornn,
        "y z",
        shapes("c:H w:H V:HI b:H"),
        {"dt": 0.25, "alpha": 1.5},
    ),
    "scrn": ("paper", scrn, "h s:S", shapes("B:SI P:HS A:HI R:HH"), {"alpha": 0.75}),
    "phased-lstm": (
        "PyTorch",
        phased_lstm,
        "h c t:1",
        {**of_gates("W_{}:HI U_{}:HH b_{}:H", *"ifco"), **shapes("log_tau:H shift:H")},
        {"r_on": 0.5, "alpha": 0.25},
    ),
    "hyper-lstm": ("PyTorch", hyper_lstm, "h e:M s:M c", HYPER, {}),
    "block-gru": (
        "PyTorch",
        block_gru,
        "h",
        {**of_gates("W_{}:HI U_{}:HS b_{}:H", *"rzn"), "c_n": "H"},
        {},
    ),
    "clockwork": (
        "paper",
        clockwork,
        "h t:1",
        shapes("W:HI b:H V_1:DD V_2:ED V_3:FD V_4:HD"),
        {},
    ),
    "example-lstm": ("PyTorch", lstm, "h C", of_gates("W_{}:HJ b_{}:H", *"fico"), {}),
    "example-cerebral-lstm": ("cerebral_lstm", cerebral_lstm, "h U_c L_c", CEREBRAL, {}),
    "example-cerebral-lstm-as-printed": (
        "paper",
        cerebral_as_printed,
        "h U_c L_c",
        CEREBRAL,
        {},
    ),
}


def in_f64(case):
    """Its tensors stay f64 in the file. What nothing depends on has the gradient 0."""
    tensors, config = case
    stored = {}
    for name, value in tensors.items():
        if value is None:
            value = torch.zeros_like(tensors[name.removeprefix("grad.")])
        stored[name] = value.detach().double().numpy()
    return stored, config


def text_cell(name, draw):
    """One layer from given states, all of them above 0: sLSTM divides by one. Times are whole."""
    by, step, states, shapes_of, settings = CELLS[name]
    hidden = HIDDEN_OF.get(name, HIDDEN)
    own = SIZES_OF.get(name, {})
    sizes = {
        "H": hidden, "I": INPUT, "J": hidden + INPUT, "K": 2 * hidden, "D": hidden // HEADS,
        "E": hidden // 2, "F": 3 * hidden // 4, "S": hidden // 8, "1": 1,
        "M": own.get("small"), "N": own.get("features"),
    }  # fmt: skip
    parameters = {
        f"{key}_l0": draw.uniform(*(sizes[axis] for axis in shape), low=-0.8, high=0.8)
        for key, shape in shapes_of.items()
    }
    inputs = {"input": draw.projection(TIME, BATCH, INPUT)}
    names = [state.partition(":")[0] for state in states.split()]
    for state in states.split():
        key, _, size = state.partition(":")
        inputs[f"{key}0"] = draw.uniform(BATCH, sizes[size or "H"], low=0.5, high=1.5)
    if "t" in names:
        inputs["t0"] = draw.tensor([[3 * i] for i in range(BATCH)])

    def outputs():
        p = {key.removesuffix("_l0"): value for key, value in parameters.items()}
        state, y = [inputs[f"{s}0"] for s in names], []
        for x in inputs["input"]:
            state = step(p, x, *state, **settings)
            y.append(state[0])
        last = {f"{s}n": t for s, t in zip(names, state)}
        return {"output": torch.stack(y), **last}

    config = {"cell": name, "by": by, "input": INPUT, "hidden": hidden, **settings}
    if own:
        config["sizes"] = " ".join(f"{key}={value}" for key, value in own.items())
    return in_f64(differentiate(draw, inputs, parameters, outputs, config))


def lstm_projection(bias, draw):
    """PyTorch's LSTM with an output that is a projection of what its gates let through."""
    hidden, projection = 5, 2
    module = nn.LSTM(INPUT, hidden, bias=bias, proj_size=projection)
    parameters = fill(draw, module, 0.8)
    inputs = {
        "input": draw.normal(TIME, BATCH, INPUT),
        "h0": draw.normal(BATCH, projection, scale=0.5),
        "c0": draw.normal(BATCH, hidden, scale=0.5),
    }

    def outputs():
        state = (inputs["h0"].unsqueeze(0), inputs["c0"].unsqueeze(0))
        y, (h, c) = module(inputs["input"], state)
        return {"output": y, "hn": h[0], "cn": c[0]}

    config = {
        "by": "PyTorch", "input": INPUT, "hidden": hidden, "projection": projection, "bias": bias,
    }  # fmt: skip
    return in_f64(differentiate(draw, inputs, parameters, outputs, config))


CASES = {
    **{f"text_{name.replace('-', '_')}": partial(text_cell, name) for name in CELLS},
    "lstm_projection": partial(lstm_projection, True),
    "lstm_projection_nobias": partial(lstm_projection, False),
}
