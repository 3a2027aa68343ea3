#!/usr/bin/env python3
"""Writes the seeds that no other file of the tree is: seeds/*/made_*.

    python3 tests/fuzz/libfuzzer/seeds.py
"""

import io
import json
import pathlib
import struct
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parent / "seeds"


def safetensors(entries, metadata):
    """A file of tensors, name: (dtype, shape, bytes of zeros)."""
    header, at = {"__metadata__": metadata}, 0
    for name, (dtype, shape, size) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def npy(descr, shape, content):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def npz(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", npy("<f4", "(2,)", bytes(8)))
        with archive.open("b.npy", "w", force_zip64=True) as member:
            member.write(npy(">i2", "(3, 100)", bytes(600)))
        archive.writestr("c.txt", "no array")
    return stream.getvalue()


def checkpoint(**more):
    """A model of one character: version 1 has no checksum."""
    config = {"cell": "lstm", "vocabulary": 1, "embedding": 2, "hidden": 1, "layers": 1, "seq_len": 3, "dropout": 0.0,
              "no_bias": False}
    entries = {"embedding.weight": [1, 2], "head.bias": [1], "head.weight": [1, 1], "rnn.bias_hh_l0": [4],
               "rnn.bias_ih_l0": [4], "rnn.weight_hh_l0": [4, 1], "rnn.weight_ih_l0": [4, 2]}
    if "cell_text" in more:
        config["cell"] = "small"
        entries = {"embedding.weight": [1, 2], "head.bias": [1], "head.weight": [1, 1], "rnn.U_l0": [1, 1],
                   "rnn.W_l0": [1, 2]}
    metadata = {"format": "cerebra-character-model", "format_version": "1", "vocabulary": '["a"]',
                "config": json.dumps(config)} | more
    sizes = {name: ("F32", shape, 4 * (shape[0] * shape[-1] if len(shape) > 1 else shape[0]))
             for name, shape in entries.items()}
    return safetensors(sizes, metadata)


def main():
    made = {
        "safetensors/made_types": safetensors({"a": ("BF16", [2, 1], 4), "b": ("U64", [1], 8), "c": ("F4", [4], 2),
                                               "d": ("BOOL", [], 1), "e": ("F64", [0, 3], 0)}, None),
        "safetensors/made_metadata": safetensors({}, {"k": "v", "l": "w"}),
        "npz/made_stored": npz(zipfile.ZIP_STORED),
        "npz/made_deflated": npz(zipfile.ZIP_DEFLATED),
        "checkpoint/made_lstm": checkpoint(),
        "checkpoint/made_text": checkpoint(cell_text="h' = tanh(W x + U h)\n"),
    }
    for name, content in made.items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
