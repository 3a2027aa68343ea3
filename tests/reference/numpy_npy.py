#!/usr/bin/env python3
"""Writes npy/*.npy and npy/*.npz, files as NumPy writes them, for the tests of the readers and the
writer.

    python tests/reference/numpy_npy.py

This needs NumPy (the `numpy` package). The stored files were written with numpy 2.4.6. Element k of
an array, counted in row-major order, is k / 2 - 3 if it is a float and 1000 k - 3 if it is an
integer.
"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "npy"


def array(dtype, *shape):
    count = np.arange(int(np.prod(shape)))
    values = count / 2 - 3 if np.dtype(dtype).kind == "f" else 1000 * count - 3
    return values.reshape(shape).astype(dtype)


def main():
    FOLDER.mkdir(exist_ok=True)
    arrays = {
        "f4_matrix": array("<f4", 3, 4),
        "f8_vector": array("<f8", 5),
        "i4_cube": array("<i4", 2, 3, 4),
        "i8_column": array("<i8", 6, 1),
        "f4_scalar": array("<f4"),
        "f8_empty": array("<f8", 2, 0, 3),
        "i8_eight_axes": array("<i8", 1, 2, 1, 2, 1, 2, 1, 2),
        "f4_fortran": np.asfortranarray(array("<f4", 3, 4)),
        "i8_fortran_cube": np.asfortranarray(array("<i8", 2, 3, 4)),
        "f8_fortran_wide": np.asfortranarray(array("<f8", 2, 5, 1, 3)),
        "nine_axes": array("<f4", *[1] * 9),
    }
    numbers = {
        "u1": [0, 1, 254, 255], "i1": [-128, -1, 0, 127], "u2": [0, 1, 258, 65535],
        "i2": [-32768, -2, 258, 32767], "u4": [0, 1, 16909060, 2**32 - 1], "u8": [0, 1, 258, 2**32],
        "i4": [-2, 0, 16909060, 2**31 - 1], "i8": [-2, 0, 258, 2**32],
        "f2": [0.5, -65504, 2**-14, 3], "f4": [0.5, -65504, 2**-14, 3], "f8": [0.5, -65504, 1e300, 3],
        "b1": [False, True, True, False],
    }
    for dtype, values in numbers.items():
        square = np.array(values).reshape(2, 2)
        if dtype not in ("i4", "i8", "f4", "f8"):  # those that tensors have are above
            arrays[dtype] = square.astype("<" + dtype)
        if dtype in ("u2", "i2", "i4", "i8", "f2", "f4", "f8"):
            arrays[dtype + "_big"] = square.astype(">" + dtype)
    arrays["f8_big_fortran"] = np.asfortranarray(arrays["f8_big"])
    arrays["complex"] = np.array([1 + 2j])
    arrays["text"] = np.array(["a", "bc"])
    arrays["structured"] = np.array([(1, 2.0)], "<i4,<f8")
    for name, values in arrays.items():
        np.save(FOLDER / f"{name}.npy", values)
    for name, version in {"version_2": (2, 0), "version_3": (3, 0)}.items():
        with open(FOLDER / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, array("<f4", 3, 4), version=version)
    members = {name: arrays[name] for name in ("f4_matrix", "i8_column", "b1", "f8_big_fortran", "text", "f8_empty")}
    members["a/b \u00e9"] = (np.arange(20000) % 251).astype("u1")
    np.savez(FOLDER / "stored.npz", **members)
    np.savez_compressed(FOLDER / "deflated.npz", **members)


if __name__ == "__main__":
    main()
