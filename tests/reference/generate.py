#!/usr/bin/env python3
"""Writes the reference vectors: one NAME.safetensors beside this script for every case.

The tests compare the library with these files, so that neither Python nor PyTorch is needed to
run them. To write the files again, which needs PyTorch (the `torch` package), NumPy,
cerebral_lstm and torchrecurrent:

    python tests/reference/generate.py            writes every file
    python tests/reference/generate.py --check    compares the files with f32 PyTorch

The stored files were written with Python 3.11, torch 2.15.0, numpy 2.4.6, cerebral_lstm 1.1.1
(the package of the paper's author), torchrecurrent 0.2.5.

Inputs and parameters are drawn as numbers that f32 holds exactly. PyTorch then computes in f64, and
the results are rounded once, to f32, when they are written (but those of the schedules, of second
order and of cells that are files of equations): what is stored is within half an ulp of the true value (up to the
error of f64), and a difference seen in a test is the library's own.
Each case seeds its own generator with the CRC-32 of its name, so adding a case changes no other,
and uses NumPy's RandomState, whose streams are frozen.
"""

import argparse
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
import torch

import cell_cases
import convolution_cases
import layer_cases
import loss_cases
import optimizer_cases
import second_order_cases
import text_cell_cases

FOLDER = pathlib.Path(__file__).resolve().parent
DTYPE_NAMES = {"float64": "F64", "float32": "F32", "int64": "I64"}
CASES = {
    **layer_cases.CASES,
    **cell_cases.CASES,
    **convolution_cases.CASES,
    **loss_cases.CASES,
    **optimizer_cases.CASES,
    **second_order_cases.CASES,
    **text_cell_cases.CASES,
}


class Draw:
    """Random tensors of one case. Every number is rounded to f32 before it is given out."""

    def __init__(self, name, dtype):
        self.state = np.random.RandomState(zlib.crc32(name.encode()))
        self.dtype = dtype

    def tensor(self, values):
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.dtype)

    def normal(self, *shape, scale=1.0):
        return self.tensor(self.state.standard_normal(shape) * scale)

    def uniform(self, *shape, low=0.0, high=1.0):
        return self.tensor(self.state.uniform(low, high, shape))

    def projection(self, *shape):
        """Of either sign, none near zero: a gradient it multiplies must stay visible."""
        sign = 2.0 * self.state.randint(0, 2, shape) - 1.0
        return self.tensor(sign * self.state.uniform(0.5, 2.0, shape))

    def integers(self, high, *shape):
        return torch.from_numpy(self.state.randint(0, high, shape).astype(np.int64))


def run_case(name, dtype):
    """The arrays and the configuration of one case, computed in `dtype`.

    Tensors become f32 or int64 arrays; NumPy arrays (of f64) are kept as they are.
    """
    tensors, config = CASES[name](Draw(name, dtype))
    arrays = {}
    for key, value in tensors.items():
        if isinstance(value, torch.Tensor):
            value = value.detach()
            value = (value.float() if value.is_floating_point() else value).numpy()
        # ascontiguousarray would turn a scalar into a vector of one.
        arrays[key] = np.array(value, order="C")
    return arrays, {key: text(value) for key, value in config.items()}


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def write_safetensors(path, arrays, metadata):
    """Header length (u64), JSON header with sorted keys, data. Widest dtype first, so that every
    tensor is aligned to its own element."""
    header = {"__metadata__": metadata}
    order = sorted(arrays, key=lambda key: (-arrays[key].itemsize, key))
    offset = 0
    for key in order:
        end = offset + arrays[key].nbytes
        header[key] = {
            "dtype": DTYPE_NAMES[arrays[key].dtype.name],
            "shape": list(arrays[key].shape),
            "data_offsets": [offset, end],
        }
        offset = end
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    data = b"".join(arrays[key].tobytes() for key in order)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def read_safetensors(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    dtypes = {short: np.dtype(long).newbyteorder("<") for long, short in DTYPE_NAMES.items()}
    arrays = {}
    for key, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(content[begin:end], dtypes[entry["dtype"]])
        arrays[key] = values.reshape(entry["shape"])
    return arrays, metadata


def check_case(name):
    """Largest |stored - f32 PyTorch| / max(1, |stored|), after comparing all else exactly."""
    stored, stored_metadata = read_safetensors(FOLDER / f"{name}.safetensors")
    single, metadata = run_case(name, torch.float32)
    if stored_metadata != metadata or stored.keys() != single.keys():
        raise ValueError(f"{name}: the file was not written by this script")
    worst, worst_key = 0.0, "-"
    for key, expected in stored.items():
        actual = single[key]
        if expected.shape != actual.shape or expected.dtype != actual.dtype:
            raise ValueError(f"{name}: {key} has another shape or dtype")
        if expected.dtype == np.int64:
            if not np.array_equal(expected, actual):
                raise ValueError(f"{name}: {key} differs")
            continue
        if not np.isfinite(expected).all():
            raise ValueError(f"{name}: {key} is not finite")
        expected = expected.astype(np.float64)
        error = np.abs(expected - actual) / np.maximum(1.0, np.abs(expected))
        if error.max(initial=0.0) > worst:
            worst, worst_key = float(error.max()), key
    return worst, worst_key


def main():
    parser = argparse.ArgumentParser(description="Writes or checks the reference vectors.")
    parser.add_argument("--check", action="store_true", help="compare the files with f32 PyTorch")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.check:
        for name in CASES:
            arrays, metadata = run_case(name, torch.float64)
            write_safetensors(FOLDER / f"{name}.safetensors", arrays, metadata)
        print(f"{len(CASES)} files written")
        return 0
    unknown = {path.stem for path in FOLDER.glob("*.safetensors")} - CASES.keys()
    for name in sorted(unknown):
        print(f"{name}: no such case")
    failed = len(unknown)
    for name in CASES:
        worst, key = check_case(name)
        failed += worst > 5e-6
        print(f"{name:36} {worst:.1e}  {key}")
    print(f"{len(CASES)} files compared, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
