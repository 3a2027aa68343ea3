#!/usr/bin/env python3
"""Writes op_cases.safetensors: what NumPy and PyTorch give for every op of the library.

    oracle/bin/python tests/reference/op_cases.py

A case NAME is the tensors NAME.0, NAME.1, ... (the inputs) and NAME.out. Floating point results were
computed in f64 from inputs that f32 holds exactly, and rounded once. tests/autograd/test_ops.c applies the
op of that name. slices (I64 [n, 6]) lists extent, start, stop and step of a slice, and how many
elements Python's has and which is the first (0 where there is none).
"""

import numpy as np
import torch
from torch.nn import functional as F

import generate

generate.DTYPE_NAMES["int32"] = "I32"
STATE = np.random.RandomState(20)
INF, NAN = np.inf, np.nan
SPECIAL = np.array(
    [0.0, -0.0, INF, -INF, NAN, 1e30, -1e30, 1e-30, -1e-30, 1, -1, 0.5, -2.5, 3, 20, -20, 80, -80, 1e-5, 100],
    np.float32,
)
I32 = np.array([0, 1, -1, 7, -7, 2**31 - 1, -(2**31), 65536, 46341], np.int32)
I64 = np.array([0, 1, -1, 7, -7, 2**63 - 1, -(2**63), 2**32, 3037000500], np.int64)
arrays = {}


def case(name, inputs, out):
    for i, value in enumerate(inputs):
        arrays[f"{name}.{i}"] = np.array(value, order="C")
    out = np.array(out, order="C")
    arrays[f"{name}.out"] = out.astype(np.float32) if out.dtype == np.float64 else out


def normal(*shape):
    return STATE.standard_normal(shape).astype(np.float32)


def integers(high, *shape, dtype=np.int64):
    return STATE.randint(0, high, shape).astype(dtype)


def wide(*inputs):
    return [torch.from_numpy(np.array(x)).double() if x.dtype == np.float32 else torch.from_numpy(x) for x in inputs]


def torch_case(name, function, *inputs):
    case(name, inputs, function(*wide(*inputs)).numpy())


def numpy_case(name, function, *inputs):
    case(name, inputs, function(*inputs))


def elementwise():
    unary = {
        "abs": torch.abs, "square": torch.square, "neg": torch.neg, "exp": torch.exp, "log": torch.log,
        "log1p": torch.log1p, "expm1": torch.expm1, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
        "reciprocal": torch.reciprocal, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
        "erf": torch.erf, "relu": torch.relu, "softplus": lambda x: torch.logaddexp(x, x * 0),
        "affine": lambda x: -1.5 * x + 0.5, "scale": lambda x: -1.5 * x, "shift": lambda x: x + 0.5,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.25), "elu": lambda x: F.elu(x, 0.75),
        "clamp": lambda x: x.clamp(-1, 2), "power": lambda x: x**2.5, "power_0": lambda x: x**0,
        "power_3": lambda x: x**3, "huber_residual": lambda x: F.huber_loss(x, x * 0, reduction="none", delta=2.0),
        "positive": lambda x: (x > 0).double(), "floor": torch.floor, "full_like": lambda x: torch.full_like(x, 3),
    }
    for name, function in unary.items():
        torch_case(name, function, SPECIAL)
    moderate = SPECIAL[np.abs(SPECIAL) < 1000]
    for name, function in {"sin": torch.sin, "cos": torch.cos, "silu": F.silu, "gelu": F.gelu}.items():
        torch_case(name, function, moderate)
    # For huber of infinities PyTorch subtracts them from 0 times infinity.
    case("huber_residual", [moderate], F.huber_loss(*wide(moderate, moderate * 0), reduction="none", delta=2.0))
    case("softplus", [SPECIAL], np.logaddexp(SPECIAL.astype(np.float64), 0))
    case("sign", [moderate], np.sign(moderate.astype(np.float64)))
    column, row = SPECIAL[:, None], SPECIAL[None, :]
    binary = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "maximum": np.maximum,
        "minimum": np.minimum, "pow": np.power,
        "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
        "greater": np.greater, "greater_equal": np.greater_equal,
    }
    with np.errstate(all="ignore"):
        for name, function in binary.items():
            case(name, [column, row], function(column.astype(np.float64), row).astype(np.float64))
        for dtype, values in (("i32", I32), ("i64", I64)):
            a, b = values[:, None], values[None, :]
            for name in ("add", "sub", "mul", "maximum", "minimum", "equal", "not_equal", "less", "less_equal", "greater",
                         "greater_equal"):
                case(f"{name}_{dtype}", [a, b], binary[name](a, b).astype(values.dtype))
            for name, function in (("neg", np.negative), ("abs", np.abs), ("square", np.square), ("sign", np.sign)):
                numpy_case(f"{name}_{dtype}", function, values)
            case(f"scale_{dtype}", [values], values * values.dtype.type(-3))
            case(f"affine_{dtype}", [values], values * values.dtype.type(3) - values.dtype.type(5))
            case(f"shift_{dtype}", [values], values + values.dtype.type(-5))
            case(f"clamp_{dtype}", [values], np.clip(values, -3, 5))
            case(f"sum_{dtype}", [values], values.sum(dtype=values.dtype))
            case(f"max_{dtype}", [values], values.max())
            case(f"min_{dtype}", [values], values.min())
            case(f"argmax_{dtype}", [values], np.int64(values.argmax()))
    condition = np.array([1, 0, NAN, -0.0, 2], np.float32)[:, None]
    numpy_case("where", lambda c, a, b: np.where(c != 0, a, b).astype(np.float64), condition, row, column[:5])


def reductions():
    x = normal(3, 4, 5)
    sums = {"0": (0,), "1": (1,), "2": (2,), "01": (0, 1), "02": (0, 2), "12": (1, 2), "012": (0, 1, 2)}
    for name, axes in sums.items():
        for function in (torch.sum, torch.mean, torch.amax, torch.amin, torch.logsumexp):
            label = {"amax": "max", "amin": "min"}.get(function.__name__, function.__name__)
            torch_case(f"{label}_{name}", lambda v: function(v, axes, keepdim=name in ("1", "02")), x)
    rows = np.array([[1, 2, 2, 0], [NAN, 1, NAN, 2], [INF, 1, INF, 0], [-INF] * 4, [0, -0.0, 0, 0], [3, INF, NAN, -INF],
                     [1e30, 1e30, -1e30, 0], [-INF, INF, 1, 0], [700, -700, 699, 0]], np.float32)
    with np.errstate(all="ignore"):
        torch_case("max_special", lambda v: torch.amax(v, 1), rows)
        torch_case("min_special", lambda v: torch.amin(v, 1), rows)
        torch_case("logsumexp_special", lambda v: torch.logsumexp(v, 1), rows)
        torch_case("softmax_special", lambda v: torch.softmax(v, 1), rows)
        torch_case("log_softmax_special", lambda v: torch.log_softmax(v, 1), rows)
        case("argmax_special", [rows], np.array(rows.argmax(1)))
    case("argmax_0", [rows], np.array(rows.argmax(0, keepdims=True)))
    large = normal(4, 6) + np.float32(4096)
    torch_case("log_softmax_offset", lambda v: torch.log_softmax(v, 1), large)
    torch_case("log_softmax_0", lambda v: torch.log_softmax(v, 0), x)
    torch_case("softmax_1", lambda v: torch.softmax(v, 1), x)
    torch_case("var_population", lambda v: torch.var(v, (0, 2), correction=0), large.reshape(2, 4, 3))
    torch_case("var_sample", lambda v: torch.var(v, (1,), correction=1, keepdim=True), x)
    case("var_of_one", [x[:, :1]], np.full((3, 5), NAN, np.float32))
    empty = np.zeros((2, 0, 3), np.float32)
    torch_case("sum_empty", lambda v: torch.sum(v, 1), empty)
    torch_case("mean_empty", lambda v: torch.mean(v, 1), empty)
    case("logsumexp_empty", [empty], np.full((2, 3), -INF, np.float32))
    torch_case("softmax_empty", lambda v: torch.softmax(v, 1), empty)


def products():
    shapes = {"plain": ((2, 3), (3, 4)), "right": ((5, 2, 3), (3, 4)), "left": ((2, 3), (5, 3, 4)),
              "both": ((4, 1, 2, 3), (5, 3, 2)), "none": ((2, 0), (0, 3)), "large": ((130, 70), (70, 150)),
              "row": ((1, 9), (9, 1)), "batch": ((3, 7, 5), (3, 5, 6)), "no_batch": ((0, 2, 3), (3, 4))}
    for name, (a, b) in shapes.items():
        torch_case(f"matmul_{name}", torch.matmul, normal(*a), normal(*b))
    torch_case("linear", F.linear, normal(2, 3, 5), normal(4, 5), normal(4))
    torch_case("linear_no_bias", F.linear, normal(3, 5), normal(4, 5))


def shapes():
    x, y = normal(2, 3, 4), normal(2, 5, 4)
    numpy_case("reshape", lambda v: v.reshape(4, 6), x)
    numpy_case("reshape_unknown", lambda v: v.reshape(3, -1, 2), x)
    numpy_case("permute", lambda v: v.transpose(2, 0, 1), x)
    numpy_case("transpose", lambda v: v.swapaxes(0, -1), x)
    numpy_case("slice", lambda v: v[:, -2:, :], x)
    numpy_case("slice_step", lambda v: v[:, :, 1::2], x)
    numpy_case("select", lambda v: v[:, -1], x)
    numpy_case("chunk", lambda v: v[:, :, 2:4], x)
    numpy_case("expand", lambda v: np.broadcast_to(v, (3, 2, 3, 4)), x[:, :1])
    numpy_case("squeeze", lambda v: v.squeeze(1), x[:, :1])
    numpy_case("unsqueeze", lambda v: v[..., None], x)
    numpy_case("flip", lambda v: v[::-1, :, ::-1], x)
    case("pad", [x], np.pad(x, ((0, 1), (2, 0), (1, 3)), constant_values=-1.5))
    numpy_case("concat", lambda a, b: np.concatenate([a, b, a], 1), x, y)
    numpy_case("stack", lambda a, b: np.stack([a, b], -1), x, x + 1)
    numpy_case("stack_many", lambda a, b: np.stack([a, b] * 50, 1), x[0], x[1])
    numpy_case("contiguous", lambda v: v, x)
    torch_case("sum_to", lambda v: v.sum(0).sum(1, keepdim=True), x)
    numpy_case("cast_i32", lambda v: np.array([0, 0, 2**31 - 1, -(2**31), 0, 2**31 - 1, -(2**31), 1, -2], np.int32),
               np.array([0, -0.0, INF, -INF, NAN, 1e30, -1e30, 1.9, -2.9], np.float32))
    numpy_case("cast_i64", lambda v: np.array([0, 2**63 - 1, -(2**63), 0, 2**63 - 1, -(2**40), 1, -2], np.int64),
               np.array([-0.0, INF, -INF, NAN, 1e30, -(2.0**40), 1.9, -2.9], np.float32))
    odd = np.array([2**24 + 1, 2**31 - 1, -(2**31), 2**53 + 1, 2**62 + 2**38 + 1, 2**63 - 1, 5, 2**32 + 7], np.int64)
    numpy_case("cast_i64_to_f32", lambda v: v.astype(np.float32), odd)
    numpy_case("cast_i64_to_i32", lambda v: v.astype(np.int32), odd)
    numpy_case("cast_i32_to_i64", lambda v: v.astype(np.int64), I32)
    table = []
    for extent in range(5):
        for start in (-9, -4, -2, -1, 0, 1, 3, 4, 9):
            for stop in (-9, -4, -2, -1, 0, 1, 3, 4, 9):
                for step in (1, 2, 3, 9):
                    found = range(extent)[start:stop:step]
                    table.append((extent, start, stop, step, len(found), found[0] if len(found) else 0))
    arrays["slices"] = np.array(table, np.int64)


def indexing():
    table = normal(5, 2, 3)
    rows = integers(5, 2, 4)
    numpy_case("gather_rows", lambda t, i: t[i], table, rows)
    numpy_case("gather_rows_i32", lambda t, i: t[i], integers(99, 5, 2), rows.astype(np.int32))
    numpy_case("gather_rows_scalar", lambda t, i: t[i], table, np.array(3))
    source = normal(2, 4, 3)
    out = np.zeros((5, 3))
    np.add.at(out, rows, source.astype(np.float64))
    case("scatter_rows", [source, rows], out)
    x, along = normal(3, 4, 5), integers(4, 2, 6, 5)
    torch_case("gather", lambda v, i: torch.gather(v, 1, i), x, along)
    torch_case("scatter_add", lambda v, i, s: torch.scatter_add(v, 1, i, s), x, along, normal(2, 6, 5))
    case("one_hot", [rows], np.eye(5, dtype=np.float32)[rows])
    case("one_hot_i64", [rows.astype(np.int32)], np.eye(6, dtype=np.int64)[rows])


def masks():
    x = normal(2, 3, 4)
    for k in (-9, -1, 0, 2, 9):
        name = f"{'minus_' if k < 0 else ''}{abs(k)}"
        torch_case(f"tril_{name}", lambda v: torch.tril(v, k), x)
        torch_case(f"triu_{name}", lambda v: torch.triu(v, k), x)
    numpy_case("tril_i64", lambda v: np.tril(v, -1), integers(99, 4, 3))
    mask = np.array([[0], [-2], [1]])
    for dtype in (np.float32, np.float64, np.int32, np.int64):
        label = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64"}[np.dtype(dtype).name]
        numpy_case(f"where_mask_{label}", lambda c, a, b: np.where(c != 0, a, b), mask.astype(dtype), x, -x[0])
        numpy_case(f"masked_fill_{label}", lambda v, m: np.where(m != 0, np.float32(-1.5), v), x, mask.astype(dtype))
    # Conditions that are 0 after a cast to the operands' dtype, but are not 0.
    small = np.array([1e-300, 0, -0.0, NAN, -1e-300])
    generate.DTYPE_NAMES["float64"] = "F64"
    arrays["where_small.0"] = small
    for i, value in enumerate((I32[:5], I32[4:9])):
        arrays[f"where_small.{i + 1}"] = value
    arrays["where_small.out"] = np.where(small != 0, I32[:5], I32[4:9])
    numpy_case("masked_fill_integers", lambda v, m: np.where(m != 0, -7, v), integers(9, 5), I64[:5].astype(np.float32))


def order():
    x = normal(3, 5, 4)
    for axis in range(3):
        torch_case(f"cumsum_{axis}", lambda v: torch.cumsum(v, axis), x)
    long = normal(3, 1000)
    torch_case("cumsum_long", lambda v: torch.cumsum(v, 1), long)
    numpy_case("cumsum_special", lambda v: np.cumsum(v.astype(np.float64), 1), np.array([[1, NAN, 2], [INF, 1, -INF], [-0.0, 0, 3]], np.float32))
    torch_case("cumsum_empty", lambda v: torch.cumsum(v, 1), np.zeros((2, 0, 3), np.float32))
    for dtype, values in (("i32", I32), ("i64", I64)):
        numpy_case(f"cumsum_{dtype}", lambda v: np.cumsum(v, dtype=v.dtype), values)
    # Few values, so that many are equal; NaN of both signs, infinities and both zeros are among them.
    few = np.array([0.0, -0.0, 1, -1, 2.5, -2.5, INF, -INF, NAN, np.copysign(NAN, -1), 1e30], np.float32)
    cases = {"ties": few[integers(11, 3, 70, 4)], "plain": normal(2, 40, 3), "short": normal(2, 1, 3),
             "integers": integers(9, 2, 33, 2) - 4, "extremes_i64": np.stack([I64, I64[::-1]], 1)[None],
             "extremes_i32": np.stack([I32, I32[::-1]], 1)[None]}
    for name, values in cases.items():
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        for direction, descending in (("up", False), ("down", True)):
            found, places = torch.sort(tensor, dim=1, descending=descending, stable=True)
            case(f"sort_{name}_{direction}", [values], found.numpy())
            case(f"argsort_{name}_{direction}", [values], places.numpy())
            k = min(7, values.shape[1])
            case(f"topk_{name}_{direction}", [values], found[:, :k].numpy())
            case(f"topk_indices_{name}_{direction}", [values], places[:, :k].numpy())
    case("sort_empty", [np.zeros((2, 0, 3), np.float32)], np.zeros((2, 0, 3), np.float32))
    case("argsort_0", [x], np.argsort(x, 0, kind="stable"))
    case("argsort_2", [x], np.argsort(x, 2, kind="stable"))
    case("topk_0", [x], np.sort(x, 0)[:2])
    case("topk_none", [x], x[:, :0])


def main():
    for group in (elementwise, reductions, products, shapes, indexing, masks, order):
        group()
    generate.write_safetensors(generate.FOLDER / "op_cases.safetensors", arrays, {})
    print(f"{len(arrays)} tensors")


if __name__ == "__main__":
    main()
