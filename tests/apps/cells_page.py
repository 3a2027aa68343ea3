"""Holds docs/cells.md to the command: every file on it is one of the tree's, what it shows of `cerebra cells` and
`cerebra explain` is what they print, and all of the language's functions are named there, and compiled. The README's
first example as well.

    cells_page.py CEREBRA SOURCE [--write]

With --write, messages that have changed are written into the page.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

cerebra, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
cookbook, wrong = source / "examples/cookbook", source / "tests/apps/wrong_cells"
page = (source / "docs/cells.md").read_text(encoding="utf-8")
failures = 0


def complain(message):
    global failures
    failures += 1
    print("FAILED:", message)


def run(words, folder):
    done = subprocess.run([cerebra, *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=300)
    return done.stdout + done.stderr


def fits(shown, printed):
    """"..." stands for any part of a line, and alone in a line for any lines."""
    parts = re.split(r"(^\.\.\.\n|\.\.\.)", shown, flags=re.MULTILINE)
    pattern = "".join({"...": ".*", "...\n": "(?:.*\n)*"}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(pattern, printed) is not None


blocks = [block for text in (page, (source / "README.md").read_text(encoding="utf-8"))
          for block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]

# Files.
files = {path: path.read_text(encoding="utf-8") for path in cookbook.glob("*.cell")}
for kind, text in blocks:
    if kind == "cell" and text not in files.values():
        complain(f"no file of examples/cookbook is this:\n{text}")
for path in files:
    checked = run(["explain", "--check", "--cell", path.name, "--hidden", "6", "--input", "4"], cookbook)
    if " compiled, " not in checked:
        complain(f"{path.name}: {checked}")

# Commands and what they print.
commands = 0
for kind, text in blocks:
    if kind != "console":
        continue
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        words = command.split()
        if words[:2] not in (["cerebra", "cells"], ["cerebra", "explain"]):
            continue
        commands += 1
        printed = run(words[1:], cookbook)
        if not fits(shown, printed):
            complain(f"{command} prints\n{printed[:2000]}")

# Messages.
messages = sorted(wrong.glob("*.cell"))
for path in messages:
    printed = run(["cells", path.name], wrong).removeprefix("cerebra cells: ")
    block = "```text\n" + printed + "```"
    if sys.argv[3:] == ["--write"]:
        page = re.sub(rf"```text\n{re.escape(path.name)}:.*?```", lambda _: block, page, flags=re.DOTALL)
        (source / "docs/cells.md").write_text(page, encoding="utf-8")
    if block not in page:
        complain(f"the page lacks this message:\n{printed}")

# The README names all cells of the command.
readme = (source / "README.md").read_text(encoding="utf-8")
named = re.search(r"^The cells of the library: .*?\n\n", readme, re.MULTILINE | re.DOTALL)[0]
odd = set(re.findall(r"`([\w-]+)`", named)) ^ set(run(["cells", "--names"], cookbook).split())
if odd:
    complain(f"in the README's list of cells or in that of the command, and not in both: {odd}")

# Functions: each row of the elementwise table.
rows = re.findall(r'^CB_(?:FLAT_)?(UNARY|BINARY|TERNARY)\(\w+, "(\w+)", \w+, (?:P(\d))?',
                  (source / "autograd/ops/elementwise_table.h").read_text(encoding="utf-8"), re.MULTILINE)
with tempfile.TemporaryDirectory() as folder:
    for kind, name, numbers in rows:
        if not re.search(rf"`{name}[`(]", page):
            complain(f"the page does not name the function {name}")
        operands = ["abs(z) + 1", "v", "h"][: {"UNARY": 1, "BINARY": 2, "TERNARY": 3}[kind]]
        arguments = operands + ["0.5", "2"][: int(numbers or 0)]
        text = f"z = W x + U h + b\nh' = tanh({name}({', '.join(arguments)}) + z * v)\n"
        (pathlib.Path(folder) / "function.cell").write_text(text, encoding="utf-8")
        checked = run(["explain", "--check", "--cell", "function.cell", "--hidden", "4", "--input", "3", "--batch", "2"],
                      folder)
        if " compiled, " not in checked:
            complain(f"{name}: {checked}")

print(f"{len(files)} files, {commands} commands, {len(messages)} messages, {len(rows)} functions")
if len(files) < 4 or commands < 2 or len(messages) < 10 or len(rows) < 40:
    complain("too little of the page was found")
sys.exit(failures > 0)
