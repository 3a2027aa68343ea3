#!/usr/bin/env python3
"""Times the paper's models here and in PyTorch, in turn (A B A B ...), and prints the ratios.

    python3 bench/compare_torch.py BUILD_DIRECTORY [OPTION ...]

needs PyTorch (the `torch` package), and for the Cerebral LSTM as its author published it his
package (`cerebral_lstm`); torch.compile needs a C++ compiler. What cannot be run is said and left
out.

A round runs some training steps of `cerebra bench` and then as many in each rival: f32, Adagrad,
the sizes of the paper's experiments, everything from the batch to the updated weights. Every
program has a process of its own; the rivals' stay, asleep between their turns, so that
torch.compile compiles once. The first steps of a turn warm up and are not counted. A round's time
is the median of its steps. Printed are the median over the rounds and, in brackets, the smallest
and the largest; ratios are their time over ours, round by round: above 1, ours is faster.

With --sample: characters a second of one stream, `cerebra sample` against an LSTM of the same sizes
that is stepped under torch.inference_mode and draws with torch.multinomial. Ours includes printing;
the time it takes to start and to load the model is subtracted.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

WARM_UP = 2
# Our options of `cerebra bench`, and the rivals of torch_worker.py.
MODELS = {
    "lstm": (["--cell", "lstm"], ["nn.LSTM"]),
    "stacked-lstm": (["--cell", "lstm", "--layers", "2"], ["nn.LSTM, 2 layers"]),
    "cerebral-lstm": (
        ["--cell", "cerebral-lstm"],
        ["cerebral_lstm", "merged gates", "merged, compiled"],
    ),
}
SAMPLING_RIVALS = ["sampling, nn.LSTM", "sampling, nn.LSTMCell"]
MEBIBYTE = 1 << 20


class Rival:
    """A process of torch_worker.py. `failure` says why it cannot be measured, if it cannot."""

    def __init__(self, name, options):
        self.name = name
        self.failure = None
        self.messages = tempfile.TemporaryFile("w+")
        worker = pathlib.Path(__file__).with_name("torch_worker.py")
        command = [sys.executable, str(worker), name]
        for size in ("threads", "batch", "hidden", "time", "symbols"):
            command += [f"--{size}", str(getattr(options, size))]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.messages,
            text=True,
        )
        self.answer()  # it is ready

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.messages.seek(0)
        lines = [line.rstrip() for line in self.messages if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
        status = f"ended with status {self.process.returncode}"
        self.failure = (errors or lines or [status])[-1]
        return None

    def run(self, count):
        """The answer to one turn; None when the rival has failed."""
        if self.failure is None:
            try:
                self.process.stdin.write(f"{count}\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                pass  # answer() finds out why
            return self.answer()
        return None

    def close(self):
        self.process.communicate()
        self.messages.close()


def run_ours(command):
    """Standard output and seconds of one of our own runs."""
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"compare_torch.py: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout, seconds


def start_rivals(names, options):
    rivals = [Rival(name, options) for name in names]
    for rival in rivals:
        if rival.failure is not None:
            print(f"{rival.name}: not measured: {rival.failure}")
    return rivals


def spread(values, digits):
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare_training(name, options):
    ours_options, rival_names = MODELS[name]
    sizes = []
    for size in ("threads", "batch", "hidden", "time", "symbols", "steps"):
        sizes += [f"--{size}", str(getattr(options, size))]
    command = [options.program, "bench", "--json", "--quiet", "--step", "training"]
    command += ["--warmup", str(WARM_UP)] + ours_options + sizes
    rivals = start_rivals(rival_names, options)
    ours, limits, peak = [], [], 0
    theirs = {rival.name: [] for rival in rivals}
    ratios = {rival.name: [] for rival in rivals}
    peaks = {}
    for _ in range(options.rounds):
        step = json.loads(run_ours(command)[0])["models"][0]["training"]
        ours.append(step["milliseconds"]["median"])
        limits.append(step["ratio"])
        peak = max(peak, step["peak_bytes"])
        for rival in rivals:
            answer = rival.run(options.steps)
            if answer is not None:
                theirs[rival.name].append(statistics.median(answer["milliseconds"]))
                ratios[rival.name].append(theirs[rival.name][-1] / ours[-1])
                peaks[rival.name] = answer["peak_bytes"]
    print(
        f"{name}: {spread(ours, 1)} ms, {peak / MEBIBYTE:.0f} MiB, "
        f"{spread(limits, 2)} x the time at the rate of a large product"
    )
    for rival in rivals:
        if theirs[rival.name]:
            print(
                f"    {rival.name:18} {spread(theirs[rival.name], 1)} ms, "
                f"{peaks[rival.name] / MEBIBYTE:.0f} MiB, "
                f"ratio {spread(ratios[rival.name], 2)}",
                flush=True,
            )
        rival.close()


def write_model(directory, options):
    """A checkpoint of an LSTM with as many symbols as asked for: one training step is enough."""
    characters = [chr(0x4E00 + i) for i in range(options.symbols)]
    random.seed(1)
    text = "".join(characters + random.choices(characters, k=1000))
    (directory / "text.txt").write_text(text, encoding="utf-8")
    checkpoint = str(directory / "model.safetensors")
    hidden = str(options.hidden)
    run_ours(
        [options.program, "train", "--quiet", "--cell", "lstm", "--hidden", hidden]
        + ["--embedding", hidden, "--batch", "8", "--epochs", "1", "--steps-per-epoch", "1"]
        + ["--data", str(directory / "text.txt"), "--checkpoint", checkpoint]
    )
    return checkpoint


def compare_sampling(options):
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = write_model(pathlib.Path(directory), options)
        command = [options.program, "sample", "--checkpoint", checkpoint]
        command += ["--threads", str(options.threads), "--length"]
        rivals = start_rivals(SAMPLING_RIVALS, options)
        ours = []
        theirs = {rival.name: [] for rival in rivals}
        ratios = {rival.name: [] for rival in rivals}
        for _ in range(options.rounds):
            start = run_ours(command + ["0"])[1]
            seconds = run_ours(command + [str(options.length)])[1] - start
            ours.append(options.length / seconds)
            for rival in rivals:
                answer = rival.run(options.length)
                if answer is not None:
                    seconds = answer["milliseconds"][0] / 1e3
                    theirs[rival.name].append(options.length / seconds)
                    ratios[rival.name].append(ours[-1] / theirs[rival.name][-1])
    print(f"cerebra sample: {spread(ours, 0)} characters a second")
    for rival in rivals:
        if theirs[rival.name]:
            print(
                f"    {rival.name:22} {spread(theirs[rival.name], 0)} characters a second, "
                f"ratio {spread(ratios[rival.name], 2)}"
            )
        rival.close()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path, help="where meson has built")
    parser.add_argument("--sample", action="store_true", help="generation instead of training")
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="timed in a round")
    parser.add_argument("--length", type=int, default=3000, help="characters sampled in a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--time", type=int, default=20)
    parser.add_argument("--symbols", type=int, default=89)
    options = parser.parse_args()
    for name in ("rounds", "steps", "length", "threads", "batch", "hidden", "time", "symbols"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    options.program = str(options.build / "apps" / "cerebra")
    if not os.access(options.program, os.X_OK):
        parser.error(f"there is no {options.program}: name the directory that meson has built in")
    options.models = options.models.split(",")
    for name in options.models:
        if name not in MODELS:
            parser.error(f"--models: there is no {name}; there are {', '.join(MODELS)}")
    return options


def main():
    options = parse()
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        sys.exit("compare_torch.py: this needs PyTorch (the `torch` package)")
    print(
        f"PyTorch {version}, threads: {options.threads}, rounds: {options.rounds}; "
        "medians, and ranges in brackets"
    )
    if options.sample:
        compare_sampling(options)
    else:
        for name in options.models:
            compare_training(name, options)


if __name__ == "__main__":
    main()
