#!/usr/bin/env python3
"""Times the cells of bench/literature.c here and in PyTorch and JAX, in turn in one run.

    compare_cells.py LITERATURE [--cells NAMES] [--rounds N] [--steps N]

LITERATURE is the program that bench/literature.c is built to. First every cell is computed in f64 at a
small size by all of them: loss and gradients must agree. Then, round by round, each of them runs some
steps of a cell (a sequence of 20 time steps, batch 128, and its gradient, f32, two threads): this
library, PyTorch op by op, PyTorch with its step compiled by torch.compile, and JAX's jitted lax.scan,
as far as they are installed. Prints a table of medians. With --rounds 0 it compares values alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import torch  # noqa: E402

import torch_cells  # noqa: E402

try:
    import jax
except ImportError:
    jax = None

TIME, BATCH = 20, 128
RANDOM = ("gru-zoneout",)  # draws numbers of its own


def values_of(program, cell, *sizes):
    output = subprocess.run([program, "--values", "--cell", cell, *map(str, sizes)], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def filled(number, shape, low, high):
    """The numbers of bench/literature.c's function of this name."""
    count = 1
    for extent in shape:
        count *= extent
    part = (torch.arange(count, dtype=torch.int64) * 7919 + number * 104729) % 65537
    return (low + (high - low) * part.to(torch.float64) / 65537).reshape(shape)


class Problem:
    """A cell's tensors, in f64; weights[first_constant:] have no gradients."""

    def __init__(self, cell, sizes, length, batch):
        ours = {w["name"]: filled(i, w["shape"], w["low"], w["high"])
                for i, w in enumerate(sizes["weights"])}
        self.parts = [entry.split("+") for entry in torch_cells.CELLS[cell][1].split()]
        self.rows = {name: len(w) for name, w in ours.items()}
        self.weights = [torch.cat([ours.pop(name) for name in part]) for part in self.parts]
        assert not ours, f"{cell}: {', '.join(ours)} is missing in torch_cells.py"
        self.first_constant = len(self.weights)
        self.weights += torch_cells.CONSTANTS.get(cell, lambda torch: [])(torch)
        self.x = filled(100, (length, batch, sizes["input"]), -1, 1)
        self.states = [torch.zeros((batch, n), dtype=torch.float64) for n in sizes["states"]]
        self.projection = filled(101, (length, batch, sizes["states"][0]), -1, 1)

    def sums(self, loss, of_x, of_weights):
        """The loss and the sum of each gradient's squares, by name."""
        sums = {"loss": loss, "x": float((of_x ** 2).sum())}
        for names, gradient in zip(self.parts, of_weights):
            at = 0
            for name in names:
                sums[name] = float((gradient[at:at + self.rows[name]] ** 2).sum())
                at += self.rows[name]
        return sums


class WithTorch:
    def __init__(self, cell, problem, dtype, compiled):
        operations, step = torch_cells.Torch(torch), torch_cells.CELLS[cell][0]
        self.problem = problem
        self.weights = [w.to(dtype, copy=True).requires_grad_(i < problem.first_constant)
                        for i, w in enumerate(problem.weights)]
        self.x = problem.x.to(dtype, copy=True).requires_grad_()
        self.states = [s.to(dtype) for s in problem.states]
        self.projection = problem.projection.to(dtype)

        def one(w, x, s):
            return step(operations, w, x, s)

        self.step = torch.compile(one, fullgraph=True, dynamic=False) if compiled else one

    def run(self):
        for leaf in [self.x, *self.weights]:
            leaf.grad = None
        states, outputs = tuple(self.states), []
        for t in range(self.x.shape[0]):
            states = self.step(self.weights, self.x[t], states)
            outputs.append(states[0])
        loss = (torch.stack(outputs) * self.projection).sum()
        loss.backward()
        return loss

    def sums(self):
        loss = self.run().item()
        leaves = self.weights[:self.problem.first_constant]
        return self.problem.sums(loss, self.x.grad, [
            leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves])


class WithJax:
    def __init__(self, cell, problem, dtype):
        numpy = jax.numpy
        operations, step = torch_cells.Jax(jax), torch_cells.CELLS[cell][0]
        convert = lambda t: numpy.asarray(t.numpy(), dtype)  # noqa: E731
        weights = [*map(convert, problem.weights)]
        constants = weights[problem.first_constant:]
        self.problem = problem
        self.leaves = [convert(problem.x), *weights[:problem.first_constant]]
        states, projection = tuple(map(convert, problem.states)), convert(problem.projection)

        def loss_of(leaves):
            def one(carried, x):
                carried = tuple(step(operations, [*leaves[1:], *constants], x, carried))
                return carried, carried[0]

            return (jax.lax.scan(one, states, leaves[0])[1] * projection).sum()

        self.function = jax.jit(jax.value_and_grad(loss_of))

    def run(self):
        return jax.block_until_ready(self.function(self.leaves))

    def sums(self):
        loss, gradients = self.run()
        return self.problem.sums(float(loss), gradients[0], gradients[1:])


def check(program, cell):
    """Whether the loss and all gradients are the same everywhere, in f64."""
    size = ["--input", 16, "--hidden", 16, "--batch", 3, "--time", 4, "--dtype", "f64"]
    sizes = values_of(program, cell, *size)
    problem = Problem(cell, sizes, 4, 3)
    ours = dict(zip(["loss", "x"] + [w["name"] for w in sizes["weights"]], sizes["sums"]))
    others = {"PyTorch": WithTorch(cell, problem, torch.float64, False)}
    if jax is not None:
        others["JAX"] = WithJax(cell, problem, "float64")
    good = True
    for name, other in others.items():
        for of, theirs in other.sums().items():
            if not abs(ours[of] - theirs) <= 1e-9 * max(abs(ours[of]), abs(theirs), 1e-3):
                print(f"{cell}: {of} is {ours[of]} here and {theirs} with {name}", file=sys.stderr)
                good = False
    return good


def milliseconds(run, steps):
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def ours(program, cell, steps):
    output = subprocess.run([program, "--cell", cell, "--steps", str(steps), "--threads", "2"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    fields = dict(field.split("=") for field in output.split())
    if fields["compiled"] != "1":
        raise RuntimeError(f"{cell} runs op by op")
    return float(fields["ms"]), float(fields["times_limit"])


def compare(program, cell, rounds, steps):
    sizes = values_of(program, cell, "--batch", 1, "--time", 1)
    problem = Problem(cell, sizes, TIME, BATCH)
    others = {"PyTorch": WithTorch(cell, problem, torch.float32, False),
              "torch.compile": WithTorch(cell, problem, torch.float32, True)}
    if jax is not None:
        others["JAX"] = WithJax(cell, problem, "float32")
    for other in others.values():
        for _ in range(2):  # compiles
            other.run()
    times, limits = {name: [] for name in ["ours", *others]}, []
    for _ in range(rounds):
        took, limit = ours(program, cell, steps)
        times["ours"].append(took)
        limits.append(limit)
        for name, other in others.items():
            times[name].append(milliseconds(other.run, steps))
    median = {name: statistics.median(of) for name, of in times.items()}
    row = [cell, f"{median['ours']:.1f}", f"{statistics.median(limits):.2f}"]
    row += [f"{median[name] / median['ours']:.2f}" if name in median else "-"
            for name in ("PyTorch", "torch.compile", "JAX")]
    print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--cells", default=",".join(torch_cells.CELLS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    cells = asked.cells.split(",")
    good = all([check(asked.program, cell) for cell in cells if cell not in RANDOM])
    print("loss and gradients agree" if good else "they DIFFER", file=sys.stderr)
    if asked.rounds == 0:
        return 0 if good else 1
    print("| cell | ms | x limit | PyTorch | torch.compile | JAX |\n|---|---|---|---|---|---|")
    for cell in cells:
        torch._dynamo.reset()
        compare(asked.program, cell, asked.rounds, asked.steps)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
