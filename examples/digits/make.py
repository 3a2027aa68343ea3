#!/usr/bin/env python3
"""Draws digits for 04_digits.c: make.py FOLDER [COUNT] writes images.npy, [COUNT, 64] of i32 from 0 to 16, and labels.npy,
[COUNT] of i64. Letters of a grid of 5 x 7 are shifted within 8 x 8 pixels, in ink of uneven strength, with spots; the
same numbers each time."""
import pathlib
import random
import struct
import sys

GLYPHS = [
    "01110 10001 10001 10001 10001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00010 00100 01000 11111",
    "11110 00001 00001 01110 00001 00001 11110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
]


def draw(digit, numbers):
    """One image, row by row."""
    right, down = int(numbers.random() * 4), int(numbers.random() * 2)
    image = [numbers.random() * 3 for _ in range(64)]
    for y, row in enumerate(GLYPHS[digit].split()):
        for x, ink in enumerate(row):
            if ink == "1" and numbers.random() > 0.08:
                image[8 * (y + down) + x + right] += 8 + 5 * numbers.random()
    return [min(16, int(value)) for value in image]


def write(path, kind, shape, elements):
    """A .npy file, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"""
    header = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"i4": "i", "i8": "q"}[kind]
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                     + struct.pack(f"<{len(elements)}{code}", *elements))


def main():
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500
    numbers = random.Random(1)
    labels = [int(numbers.random() * 10) for _ in range(count)]
    images = [pixel for label in labels for pixel in draw(label, numbers)]
    write(folder / "images.npy", "i4", (count, 64), images)
    write(folder / "labels.npy", "i8", (count,), labels)


main()
