#!/usr/bin/env python3
"""Writes what the tests of the safetensors reader compare with: element_types.safetensors and
safetensors_decisions.json.

    python tests/reference/safetensors_cases.py

This needs the packages safetensors (the reference reader), numpy and ml_dtypes. The stored files
were written with safetensors 0.8.0, numpy 2.4.6, ml_dtypes 0.6.0.

element_types.safetensors has a tensor for each element type of the format, NAME, and the same values
in F64 (integers in I64), NAME.expected. Types of up to eight bits have all their codes, in order.

safetensors_decisions.json is a list of files: "head" are their first bytes (hexadecimal), "zeros" how
many zeros follow; "accepted" says whether the reference reader takes the file, and "differs", where
it is there, why ours decides otherwise (docs/files.md has the reasons).
"""

import json
import pathlib
import random
import struct

import ml_dtypes
import numpy as np
import safetensors

FOLDER = pathlib.Path(__file__).resolve().parent


# ---- Element types ------------------------------------------------------------------------------

SMALL = {
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F6_E2M3": ml_dtypes.float6_e2m3fn,
    "F6_E3M2": ml_dtypes.float6_e3m2fn,
    "F4": ml_dtypes.float4_e2m1fn,
}
BITS = {"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
WHOLE = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
         "U64": "<u8", "I64": "<i8"}


def packed(codes, bits):
    """Codes in a stream of bits, the first in the lowest bits."""
    stream = sum(int(code) << (k * bits) for k, code in enumerate(codes))
    return stream.to_bytes(len(codes) * bits // 8, "little")


def element_types():
    """(name, type, shape, bytes) of each tensor."""
    rng = np.random.RandomState(7)
    for name, dtype in SMALL.items():
        bits = BITS.get(name, 8)
        codes = np.arange(2 ** bits, dtype=np.uint8)
        yield name, name, codes.shape, packed(codes, bits)
        with np.errstate(invalid="ignore"):
            yield name + ".expected", "F64", codes.shape, codes.view(dtype).astype("<f8").tobytes()
    edges = [0, 1, 2, 0x3ff, 0x400, 0x401, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7f7f, 0x7f80, 0x7f81, 0x7fff]
    codes = np.array(edges + [0x8000 | e for e in edges] + list(rng.randint(0, 65536, 228)), "<u2")
    for name, dtype in {"F16": np.dtype("<f2"), "BF16": ml_dtypes.bfloat16}.items():
        yield name, name, codes.shape, codes.tobytes()
        yield name + ".expected", "F64", codes.shape, codes.view(dtype).astype("<f8").tobytes()
    for name, dtype in WHOLE.items():
        if name == "BOOL":
            values = np.array([False, True, True, False])
        else:
            limits = np.iinfo(dtype)
            high = min(limits.max, 2 ** 63 - 1)
            values = np.array([limits.min, limits.max if name != "U64" else high, 0, 1, high // 3], dtype)
        yield name, name, values.shape, values.tobytes()
        yield name + ".expected", "I64", values.shape, values.astype("<i8").tobytes()
    beyond = np.array([1, 2 ** 63], "<u8")
    yield "beyond", "U64", beyond.shape, beyond.tobytes()
    floats = np.array([0.1, -3, 1e-45, np.inf, np.nan, 3e38], "<f4")
    yield "F32", "F32", floats.shape, floats.tobytes()
    yield "F32.expected", "F64", floats.shape, floats.astype("<f8").tobytes()
    yield "C64", "C64", (1,), np.array([1 + 2j], "<c8").tobytes()
    yield "nine_axes", "F32", (1,) * 9, np.array([3], "<f4").tobytes()


def write_element_types():
    header, data = {}, b""
    for name, dtype, shape, content in element_types():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    content = struct.pack("<Q", len(text)) + text + data
    safetensors.deserialize(content)  # the reference reader takes it
    (FOLDER / "element_types.safetensors").write_bytes(content)


# ---- Decisions ----------------------------------------------------------------------------------


def entry(dtype="F32", shape="[1]", begin="0", end="4", more=""):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]{more}}}'


def one(**fields):
    return '{"a":' + entry(**fields) + "}"


def by_hand():
    """(header, bytes of data[, why ours differs]), the header as text or bytes."""
    a = '"a":' + entry()
    duplicate = "duplicate keys: the format forbids them"
    # JSON and what is around it.
    for text in ["{}", " {}", "\n\t{}", "{}  ", "{}\n", "", "[]", "1", "null", '"a"', "{", "}", "{} x", "{}{}",
                 "{}\0", "\ufeff{}", "{,}", '{"a"}', "{a:1}", "{'a':1}", "{/**/}"]:
        yield text, 0
    for text in ["{%s,}", "{%s}", "{ %s }", "{\n%s\n}\r\n", "{%s} \t", " {%s}", "{%s,%s}"]:
        yield text.replace("%s", a), 4, *([duplicate] if text == "{%s,%s}" else [])
    yield b'{"a\xff":' + entry().encode() + b"}", 4
    yield b'{"\xc3\xa9":' + entry().encode() + b"}", 4
    yield b'{"\xed\xa0\x80":' + entry().encode() + b"}", 4
    for key in ['\\u00e9', '\\ud83d\\ude00', '\\ud83d', '\\ude00', '\\n', '\\x', '', ' ', '.', '/', '\n', '\x7f']:
        yield f'{{"{key}":{entry()}}}', 4
    yield f'{{"a\\u0000b":{entry()}}}', 4, "names with a NUL"
    # Metadata.
    for value in ["null", "{}", '{"k":"v"}', '{"k":null}', '{"k":1}', '{"k":{}}', '{"k":["v"]}', "[]", '""', "1", "true",
                  '{"k":"v","l":"w"}', '{"":""}', '{"k":"\\u00e9"}', '{"__metadata__":"v"}']:
        yield f'{{"__metadata__":{value}}}', 0
        yield f'{{"__metadata__":{value},{a}}}', 4
    yield '{"__metadata__":{"k":"1","k":"2"}}', 0, duplicate
    yield '{"__metadata__":{},"__metadata__":{}}', 0
    yield '{"__metadata__":{"k":"\\u0000"}}', 0, "strings with a NUL"
    yield f'{{"__metadata__":{entry()}}}', 4
    # Types.
    sizes = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
             "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8,
             "F128": 16, "C128": 16, "f32": 4, "F32 ": 4, "": 4, "float32": 4, "BOOL8": 1, "F8": 1, "Q4": 1}
    for name, size in sizes.items():
        yield one(dtype=name, end=str(size)), size
    for name, count, size in [("F4", 1, 1), ("F4", 2, 1), ("F4", 3, 1), ("F4", 0, 0), ("F6_E2M3", 4, 3), ("F6_E2M3", 1, 1),
                              ("F6_E3M2", 8, 6), ("F6_E3M2", 2, 1), ("F4", 3, 2)]:
        yield one(dtype=name, shape=f"[{count}]", end=str(size)), size
    yield '{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}', 4
    yield '{"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}}', 4
    yield '{"a":{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}}', 4, "a dtype as an object"
    # Shapes.
    large = "integers above 2^63 - 1"
    for shape, end in [("[]", 4), ("[1,1]", 4), ("[0]", 0), ("[0,3]", 0), ("[2]", 8), ("[2]", 4), ("[-1]", 4), ("[1.0]", 4),
                       ("[1e0]", 4), ('["1"]', 4), ("[null]", 4), ("[true]", 4), ("[[1]]", 4), ("{}", 4), ("1", 4), ("null", 4),
                       ("[1,1,1,1,1,1,1,1]", 4), ("[1,1,1,1,1,1,1,1,1]", 4), ("[" + ",".join("1" * 40) + "]", 4),
                       ("[4611686018427387905]", 4), ("[4294967296,4294967296]", 0), ("[0,4294967296,4294967296]", 0),
                       ("[4294967296,4294967296,0]", 0), ("[9223372036854775807,0]", 0), ("[01]", 4), ("[+1]", 4), ("[1,]", 4)]:
        yield one(shape=shape, end=str(end)), end
    yield one(shape="[9223372036854775808,0]", end="0"), 0, large
    yield one(shape="[0,18446744073709551615]", end="0"), 0, large
    yield one(shape="[-0]", end="0"), 0, "-0 is taken for 0"
    yield one(shape="[99999999999999999999]"), 4
    # Offsets.
    for begin, end, size in [("0", "4", 5), ("0", "4", 3), ("0", "8", 8), ("4", "8", 8), ("4", "0", 4), ("-4", "0", 4),
                             ("0.0", "4", 4), ('"0"', "4", 4), ("null", "4", 4), ("0", "18446744073709551615", 4),
                             ("9223372036854775803", "9223372036854775807", 4), ("1", "5", 5)]:
        yield one(begin=begin, end=end), size
    for offsets in ["[0]", "[]", "[0,4,4]", "{}", "4", "null", "[[0,4]]"]:
        yield f'{{"a":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}}}', 4
    # Fields.
    for fields in ['"shape":[1],"data_offsets":[0,4]', '"dtype":"F32","data_offsets":[0,4]', '"dtype":"F32","shape":[1]', ""]:
        yield f'{{"a":{{{fields}}}}}', 4
    for more in [',"more":1', ',"more":null', ',"more":[1,{"x":2}]', ',"more":1.5e300', ',"DTYPE":"F64"']:
        yield one(more=more), 4
    yield one(more=',"more":1e999'), 4
    yield one(more=',"more":99999999999999999999'), 4, large
    yield one(more=',"more":' + "[" * 200 + "]" * 200), 4, "values nested more than 127 deep"
    yield one(more=',"dtype":"F32"'), 4
    yield one(more=',"more":1,"more":2'), 4, duplicate
    yield '{"a":["F32",[1],[0,4]]}', 4, "a tensor as an array"
    for value in ["null", "1", '"F32"', "[]", "{}"]:
        yield f'{{"a":{value}}}', 4
    # Several tensors.
    for parts, size in [([("a", 0, 4), ("b", 4, 8)], 8), ([("b", 4, 8), ("a", 0, 4)], 8), ([("a", 0, 4), ("b", 8, 12)], 12),
                        ([("a", 0, 4), ("b", 2, 6)], 6), ([("a", 0, 4), ("b", 0, 4)], 4), ([("a", 0, 4), ("b", 0, 4)], 8),
                        ([("a", 0, 4), ("b", 4, 8)], 9), ([("a", 0, 4), ("b", 4, 8)], 7)]:
        yield "{" + ",".join(f'"{n}":' + entry(begin=str(s), end=str(e)) for n, s, e in parts) + "}", size
    empty = entry(shape="[0]", begin="%d", end="%d")
    for at in [0, 4, 2, 5]:
        yield "{" + a + ',"b":' + empty % (at, at) + "}", 4


def by_length():
    """Whole files whose length of the header is not the header's."""
    for length in [0, 1, 2, 3, 4, 100000000, 100000001, 2 ** 31, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 9, 2 ** 64 - 8, 2 ** 64 - 1]:
        yield struct.pack("<Q", length) + b"{}"
    yield b""
    yield b"\x02\0\0\0\0\0\0"
    yield b"\0" * 8
    yield b"\x02" + b"\0" * 7 + b"{}" + b"\0"


def drawn(count):
    """Files of several tensors, half of them with one character changed."""
    rng = random.Random(11)
    for _ in range(count):
        parts, at = [], 0
        for k in range(rng.randint(1, 3)):
            size, name = rng.choice([(1, "U8"), (2, "BF16"), (4, "F32"), (8, "F64")])
            extents = [rng.randint(0, 3) for _ in range(rng.randint(0, 3))]
            end = at + size * int(np.prod(extents, dtype=int))
            parts.append(f'"{chr(97 + k)}":' + entry(name, json.dumps(extents), str(at), str(end)))
            at = end
        rng.shuffle(parts)
        text = "{" + ",".join(parts) + "}"
        if rng.random() < 0.5:
            place = rng.randrange(len(text))
            text = text[:place] + rng.choice('{}[]",:0129 aF') + text[place + 1:]
        yield text, at


def accepted(content):
    try:
        safetensors.deserialize(content)
        return True
    except safetensors.SafetensorError:
        return False


def write_decisions():
    cases = []
    for text, zeros, *differs in list(by_hand()) + list(drawn(60)):
        text = text if isinstance(text, bytes) else text.encode()
        cases.append((struct.pack("<Q", len(text)) + text, zeros, *differs))
    cases += [(content, 0) for content in by_length()]
    rows = []
    for head, zeros, *differs in cases:
        row = {"head": head.hex(), "zeros": zeros, "accepted": accepted(head + b"\0" * zeros)}
        rows.append(json.dumps(row | ({"differs": differs[0]} if differs else {})))
    (FOLDER / "safetensors_decisions.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{len(rows)} files, {sum(json.loads(r)['accepted'] for r in rows)} of them accepted")


if __name__ == "__main__":
    write_element_types()
    write_decisions()
