#!/usr/bin/env python3
"""Writes npy/*.npy, files as NumPy writes them, for the tests of the .npy reader and writer.

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
        "big_endian": array(">f4", 3),
        "half": array("<f2", 3),
        "nine_axes": array("<f4", *[1] * 9),
    }
    for name, values in arrays.items():
        np.save(FOLDER / f"{name}.npy", values)
    for name, version in {"version_2": (2, 0), "version_3": (3, 0)}.items():
        with open(FOLDER / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, array("<f4", 3, 4), version=version)


if __name__ == "__main__":
    main()
