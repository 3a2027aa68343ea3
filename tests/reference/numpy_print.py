#!/usr/bin/env python3
"""Writes print_cases.safetensors: arrays and the text that NumPy's str() gives for each.

    python tests/reference/numpy_print.py            writes the file
    python tests/reference/numpy_print.py --random N FILE
                                                     N random arrays instead, for a wider comparison

This needs NumPy (the `numpy` package). The stored file was written with numpy 2.4.6. For every case
NAME the file holds a tensor NAME, the memory of an array, and the metadata NAME.layout and
NAME.text: the first is the view of that memory that was printed, as numbers separated by spaces
(rank, offset of the first element, shape, strides; offset and strides in elements), the second what
str() gave for it.
"""

import ctypes
import json
import pathlib
import struct
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
DTYPE_NAMES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64"}
F32, F64, I32, I64 = np.float32, np.float64, np.int32, np.int64


def float_cases():
    """One-dimensional arrays for the choice of notation, of digits and of widths."""
    nan, inf = np.nan, np.inf
    values = {
        "plain": [1, 2, 3],
        "halves": [0.5, 1.25, -3, 100],
        "tenths": [0.1, 0.2, 0.3, 0.7],
        "tenth_alone": [0.1],
        "thirds": [1 / 3, 2 / 3, 10 / 3],
        "pi": [np.pi, -np.e, np.pi * 100],
        "zeros": [0, 0, 0],
        "negative_zero": [-0.0, 0.0, 1.0],
        "only_negative_zero": [-0.0],
        "tiny_mixed": [0.1, 1e-8, 1],
        "tiny_alone": [1e-8],
        "tiny_digits": [1.2345678e-8, 9.87e-12],
        "ratio_1000": [0.5, 500.0],
        "ratio_over_1000": [0.5, 500.5],
        "ratio_rounded": [0.0001, 0.1],
        "ratio_exact_digits": [0.1, 123.456, 0.12345678],
        "below_fixed": [0.00009999, 0.01],
        "at_fixed": [0.0001, 0.01],
        "large_f32_fixed": [999999, 999998.5],
        "large_f32_scientific": [1e6, 999999],
        "large_f64_fixed": [99999999.0, 99999998.5],
        "large_f64_scientific": [1e8, 99999999.0],
        "extremes": [3.4e38, 1.2e-38, -1.4e-45],
        "subnormal": [1.4e-45, 2.8e-45, 1e-40],
        "infinite": [inf, -inf, nan],
        "infinite_positive": [inf, nan],
        "nan_alone": [nan],
        "infinite_mixed": [1, inf, -inf, nan, 0.25],
        "infinite_scientific": [1e-10, inf, -inf, nan, 3],
        "infinite_narrow": [1, -inf],
        "round_up": [9.999999999, 99.999999996, 0.999999999999],
        "halfway": [0.5, 0.000244140625, 0.0001220703125],
        "cut_halfway": [1.000000005, 2.000000015, 1.5 + 2.0**-9],
        "powers_of_two": [2.0**-k for k in range(30)],
        "powers_of_two_small": [2.0**-k for k in range(30, 120, 3)],
        "powers_of_two_large": [2.0**k for k in range(0, 126, 5)],
        "powers_of_ten": [10.0**k for k in range(-37, 38, 5)],
        "wrap": [1 / (k + 1) for k in range(40)],
        "wrap_signs": [(-1) ** k * (k / 7) for k in range(1, 60)],
        "wrap_integers": list(range(100)),
        "wrap_trailing_spaces": [1.0, 2.0, 3.125] * 12,
        "large_range": list(np.linspace(-1e5, 1e5, 7)),
    }
    for name, numbers in values.items():
        with np.errstate(over="ignore"):
            yield f"{name}_f32", np.array(numbers, F32)
        yield f"{name}_f64", np.array(numbers, F64)
    yield "extremes_double_f64", np.array([1.7976931348623157e308, 5e-324, 2.2250738585072014e-308])
    yield "exponents_f64", np.array([1e-100, 1e5, -1e200])
    yield "powers_of_two_double_f64", 2.0 ** np.arange(-1074, 1024, 61)


def scalar_cases():
    numbers = [0.0, -0.0, 1, -2.5, 0.1, 1e-4, 1.0001e-4, 9e-5, 999999, 1e6, 1234567, 1e15, 1e16]
    numbers += [1.5e16, 1e-45, 3e38, 2.0**-44, 2.0**-20, 1 / 3, np.nan, np.inf, -np.inf]
    for i, number in enumerate(numbers):
        yield f"scalar_{i}_f32", np.array(number, F32)
        yield f"scalar_{i}_f64", np.array(number, F64)
    yield "scalar_i32", np.array(-(2**31), I32)
    yield "scalar_i64", np.array(2**63 - 1, I64)


def integer_cases():
    yield "integers_i32", np.array([1, -20, 300], I32)
    yield "integers_i64", np.array([2**63 - 1, -(2**63), 0], I64)
    yield "integers_limits_i32", np.array([[2**31 - 1], [-(2**31)]], I32)
    yield "integers_wrap_i64", np.arange(60, dtype=I64) * 10**12
    yield "integers_wide_i64", np.full((2, 9), -(2**63), I64)
    yield "integers_matrix_i32", np.arange(12, dtype=I32).reshape(3, 4) - 5
    yield "integers_one_i64", np.array([7], I64)


def shape_cases():
    """Brackets, blank lines, summaries, empty arrays and views."""
    state = np.random.RandomState(1)
    normal = state.standard_normal
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 4)]:
        yield "empty_" + "_".join(map(str, shape)), np.zeros(shape, F32)
    yield "matrix_f32", normal((3, 4)).astype(F32)
    yield "matrix_wide_f32", normal((2, 15)).astype(F32)
    yield "matrix_wide_f64", normal((3, 9))
    yield "column_f64", normal((5, 1))
    yield "cube_f32", normal((2, 3, 4)).astype(F32)
    yield "cube_wide_f64", normal((2, 2, 11))
    yield "four_axes_f32", normal((2, 1, 2, 3)).astype(F32)
    yield "eight_axes_i32", np.arange(8, dtype=I32).reshape(1, 2, 1, 2, 1, 1, 2, 1)
    yield "eight_axes_wide_f32", normal((1, 1, 1, 1, 1, 1, 2, 9)).astype(F32)
    yield "thousand_f32", np.arange(1000, dtype=F32)
    yield "over_thousand_f32", np.arange(1001, dtype=F32)
    yield "over_thousand_i32", np.arange(1001, dtype=I32)
    yield "summary_matrix_f64", normal((40, 40))
    yield "summary_tall_f32", normal((600, 2)).astype(F32)
    yield "summary_wide_f32", normal((6, 200)).astype(F32)
    yield "summary_seven_f32", normal((7, 200)).astype(F32)
    yield "summary_cube_f32", normal((12, 12, 12)).astype(F32)
    yield "summary_cube_thin_f32", normal((2, 300, 2)).astype(F32)
    hidden = np.ones(2000, F32)
    hidden[1000] = 1e-20
    yield "summary_hides_small_f32", hidden
    shown = np.ones(2000, F32)
    shown[1998] = 1e-20
    yield "summary_shows_small_f32", shown
    square = normal((4, 6)).astype(F32)
    yield "transposed_f32", square.T
    yield "flipped_f32", square[::-1, ::-1]
    yield "flipped_columns_f32", square[:, ::-2]
    yield "sliced_f32", square[1:3, 2:5]
    yield "flipped_transposed_f64", normal((3, 4, 2)).transpose(2, 0, 1)[:, ::-1, ::3]
    yield "flipped_integers_i64", np.arange(2000, dtype=I64)[::-1]
    yield "expanded_f32", np.broadcast_to(np.arange(3, dtype=F32), (2, 2, 3))
    yield "expanded_summary_f64", np.broadcast_to(np.arange(9.0).reshape(9, 1), (8, 9, 20))
    yield "expanded_scalar_i32", np.broadcast_to(np.array(5, I32), (50, 50))


def random_cases(count):
    state = np.random.RandomState(2)
    for i in range(count):
        dtype = (F32, F64)[i % 2]
        size = state.randint(1, 30)
        kind = state.randint(6)
        if kind == 0:
            array = state.standard_normal(size) * 10.0 ** state.randint(-6, 9)
        elif kind == 1:
            array = state.standard_normal(size) * 10.0 ** state.randint(-37, 37, size)
        elif kind == 2:
            array = state.randint(-1000, 1000, size) / 10.0 ** state.randint(0, 5)
        elif kind == 3:
            array = 2.0 ** state.randint(-126, 127, size)
        elif kind == 4:
            array = np.round(state.standard_normal(size), state.randint(0, 10))
            array[state.randint(size)] = state.choice([np.nan, np.inf, -np.inf, -0.0])
        else:
            array = state.standard_normal(()) * 10.0 ** state.randint(-20, 20)
        array = np.asarray(array, dtype)
        if kind == 3 and i % 3 == 0:
            array = array[0]
        if array.ndim == 1 and state.randint(3) == 0:
            array = np.stack([array, array * dtype(0.7)])
        yield f"random_{i}", np.asarray(array)


def memory_of(array):
    """The memory a view looks at, from its lowest to its highest address, and the view's layout."""
    steps = [stride // array.itemsize for stride in array.strides]
    if array.size == 0:
        return np.zeros(0, array.dtype), [array.ndim, 0, *array.shape, *steps]
    low = sum(min(0, (n - 1) * step) for n, step in zip(array.shape, steps))
    high = sum(max(0, (n - 1) * step) for n, step in zip(array.shape, steps))
    first = array[(0,) * array.ndim + (...,)]
    start = first.__array_interface__["data"][0] + low * array.itemsize
    length = (high - low + 1) * array.itemsize
    memory = np.frombuffer(ctypes.string_at(start, length), array.dtype)
    return memory, [array.ndim, -low, *array.shape, *steps]


def write(path, cases):
    header, chunks, offset, metadata = {}, [], 0, {"numpy": np.__version__}
    for name, array in cases:
        memory, layout = memory_of(array)
        metadata[name + ".layout"] = " ".join(map(str, layout))
        metadata[name + ".text"] = str(array)
        data = memory.tobytes()
        header[name] = {
            "dtype": DTYPE_NAMES[array.dtype.name],
            "shape": list(memory.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        chunks.append(data)
        offset += len(data)
    header = {"__metadata__": metadata, **header}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--random":
        write(sys.argv[3], random_cases(int(sys.argv[2])))
        return
    families = [float_cases(), scalar_cases(), integer_cases(), shape_cases()]
    cases = [case for family in families for case in family]
    write(FOLDER / "print_cases.safetensors", cases)
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
