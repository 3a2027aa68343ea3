#!/usr/bin/env python3
"""Times ops and training steps here and in PyTorch, in turn in one run, and prints how long ours take.

    python3 bench/compare_ops.py BUILD_DIRECTORY [--limit R] [--only TEXT] [--rounds N]

needs PyTorch (the `torch` package). A round runs each case of bench/ops.c for some milliseconds here and
then there: forward, and forward with the gradient of all inputs; and each model of bench/models.c, whole
training steps; f32, two threads. Printed are the medians over the rounds, and our time as a part of
PyTorch's (above 1, ours is slower). With --limit R the exit status is 1 when a case takes more than R of
PyTorch's time, and those cases are named at the end.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import torch_models  # noqa: E402

OPS = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "exp": torch.exp,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "gelu": F.gelu,
    "matmul": torch.matmul,
    "linear": F.linear,
    "attention": F.scaled_dot_product_attention,
    "causal_attention": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
    "layer_norm": lambda x, weight, bias: F.layer_norm(x, x.shape[-1:], weight, bias),
    "max": lambda x: torch.amax(x, -1),
    "argmax": lambda x: torch.argmax(x, -1),
    "sum_all": torch.sum,
    "sum_last": lambda x: torch.sum(x, -1),
    "sum_first": lambda x: torch.sum(x, 0),
    "var": lambda x: torch.var(x, -1),
    "transposed_copy": lambda x: x.T.contiguous(),
    "heads_copy": lambda x: x.transpose(1, 2).contiguous(),
    "concat": lambda x, y: torch.cat([x, y], -1),
    "slice": lambda x: x[..., : x.shape[-1] // 2].contiguous(),
    "gather": lambda x, indices: torch.gather(x, 1, indices),
    "scatter_add": lambda x, indices, source: torch.scatter_add(x, 1, indices, source),
    "embedding": lambda table, indices: F.embedding(indices, table),
    "cross_entropy": F.cross_entropy,
}


def make(one):
    if one["below"] > 0:
        return torch.randint(one["below"], one["shape"])
    return torch.randn(one["shape"])


class Op:
    def __init__(self, description):
        self.name = description["op"] + " " + " ".join(
            str(one["shape"]) for one in description["inputs"])
        self.function = OPS[description["op"]]
        self.description = description

    def forward(self):
        with torch.no_grad():
            return self.function(*self.inputs)

    def both(self):
        y = self.function(*self.inputs)
        return torch.autograd.grad(y, self.variables, self.seed)

    def theirs(self, budget):
        """Median milliseconds of a run, forward and both; 0 where there is no gradient."""
        torch.manual_seed(1)
        self.inputs = [make(one) for one in self.description["inputs"]]
        self.variables = [x.requires_grad_() for x in self.inputs if x.is_floating_point()]
        y = self.forward()
        if not y.is_floating_point():
            return timed(self.forward, budget), 0
        self.seed = torch.full_like(y, 0.5)
        return timed(self.forward, budget), timed(self.both, budget)


class Model:
    """A training step; it counts as forward and backward."""

    def __init__(self, description):
        self.name = description["model"]
        self.training = torch_models.Training(self.name)
        if self.training.weights() != description["weights"]:
            sys.exit(f"compare_ops.py: {self.name}: {description['weights']} weights here, "
                     f"{self.training.weights()} in PyTorch")

    def theirs(self, budget):
        return 0, timed(self.training.step, budget)


class Program:
    """One of ours, and its cases."""

    def __init__(self, build, name, kind, only):
        self.path = str(pathlib.Path(build) / "bench" / name)
        lines = subprocess.run([self.path, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
        cases = [(i, kind(json.loads(line))) for i, line in enumerate(lines.splitlines())]
        self.cases = [(i, case) for i, case in cases if only in case.name]
        for _, case in self.cases:
            case.ratios, case.times = ([], []), ([], [])
        self.process = subprocess.Popen([self.path, "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ours(self, number, budget):
        self.process.stdin.write(f"{number} {budget}\n")
        self.process.stdin.flush()
        times = [float(x) for x in self.process.stdout.readline().split()]
        if not times:
            sys.exit(f"compare_ops.py: {self.path} failed")
        return times if len(times) == 2 else [0] + times

    def round(self, budget):
        for number, case in self.cases:
            mine, theirs = self.ours(number, budget), case.theirs(budget)
            for i in range(2):
                case.times[i].append(mine[i])
                if theirs[i] > 0:
                    case.ratios[i].append(mine[i] / theirs[i])


def timed(function, budget):
    times = []
    function()
    function()
    begin = now = time.perf_counter()
    while len(times) < 3 or (now - begin) * 1e3 < budget:
        function()
        after = time.perf_counter()
        times.append((after - now) * 1e3)
        now = after
    return statistics.median(times)


def number(value):
    return f"{value:.3g}" if value > 0 else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--limit", type=float, default=math.inf)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--milliseconds", type=float, default=60)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    programs = [Program(asked.build, "ops", Op, asked.only), Program(asked.build, "models", Model, asked.only)]
    for _ in range(asked.rounds):
        for program in programs:
            program.round(asked.milliseconds)
    cases = [case for program in programs for _, case in program.cases]
    slow, below = [], 0
    print("| case | forward, ms | of PyTorch's | both, ms | of PyTorch's |\n|---|---|---|---|---|")
    for case in cases:
        ratios = [statistics.median(of) if of else 0 for of in case.ratios]
        times = [statistics.median(of) for of in case.times]
        print(f"| {case.name} | {number(times[0])} | {number(ratios[0])} | {number(times[1])} | {number(ratios[1])} |")
        slow += [case.name] if max(ratios) > asked.limit else []
        below += max(ratios) < 0.8
    print(f"{below} of {len(cases)} cases take less than 0.8 of PyTorch's time")
    if slow:
        print(f"more than {asked.limit}: " + "; ".join(slow))
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
