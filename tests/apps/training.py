#!/usr/bin/env python3
"""What the options of `cerebra train` do, against plain computations: training.py CEREBRA
SOURCE [SEED].

Learning rates are compared with their formulas step by step, losses with those that `cerebra eval`
finds, and runs with others that have to be the same. Sizes and texts are drawn anew in each run.
"""
import csv
import io
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

SMALL = ["--hidden", "12", "--embedding", "8", "--quiet"]


class Training:
    def __init__(self, cerebra, source, seed):
        self.source = source
        self.cerebra, self.random, self.failures = cerebra, random.Random(seed), 0

    def complain(self, text):
        print("FAILED:", text)
        self.failures += 1

    def run(self, *words, code=0):
        ran = subprocess.run([self.cerebra] + [str(word) for word in words], capture_output=True, text=True)
        if ran.returncode != code:
            self.complain(f"exit code {ran.returncode}, not {code}: {' '.join(map(str, words))}: {ran.stderr[-500:]}")
        return ran

    def rows(self, *words):
        """Trains; the log as a list of dictionaries of numbers."""
        ran = self.run("train", *SMALL, *words, "--log", "-")
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(ran.stdout))]

    def timeless(self, *words):
        return [{key: value for key, value in row.items() if key != "seconds"} for row in self.rows(*words)]

    def eval(self, checkpoint, text, *words):
        with open("part.txt", "w") as stream:
            stream.write(text)
        return float(self.run("eval", "--checkpoint", checkpoint, "--data", "part.txt", *words).stdout.split()[2])

    def near(self, what, found, wanted, tolerance):
        if not abs(found - wanted) <= tolerance * max(1e-12, abs(wanted)):
            self.complain(f"{what}: {found}, not {wanted}")

    # ---- Learning rates

    def schedule(self):
        """Options, and the rate of step n of `total` by the formula of the help text."""
        choose = self.random
        lr, gamma, low, period = choose.uniform(0.001, 0.1), choose.uniform(0.5, 0.99), choose.uniform(0, 0.001), choose.randrange(1, 20)
        first = choose.randrange(2, 15)
        stones = [first, first + choose.randrange(1, 9)]
        warmup, start = choose.choice([0, 0, choose.randrange(1, 12)]), choose.uniform(0.05, 1)
        total = choose.randrange(20, 40)
        wave = lambda n, over: low + (lr - low) * (1 + math.cos(math.pi * n / over)) / 2
        name, options, rate = choose.choice([
            ("constant", [], lambda n: lr),
            ("step", ["--lr-period", period, "--lr-gamma", gamma], lambda n: lr * gamma ** (n // period)),
            ("multi-step", ["--lr-milestones", ",".join(map(str, stones)), "--lr-gamma", gamma],
             lambda n: lr * gamma ** sum(n + warmup >= stone for stone in stones)),
            ("exponential", ["--lr-gamma", gamma], lambda n: lr * gamma ** n),
            ("cosine", ["--lr-min", low], lambda n: wave(n, max(1, total - warmup))),
            ("cosine", ["--lr-min", low, "--lr-period", period],
             lambda n: wave(n, period) if n < period else low),
            ("cosine", ["--lr-min", low, "--lr-period", period, "--lr-repeat"], lambda n: wave(n, period)),
        ])
        words = ["--schedule", name, "--lr", lr] + options
        if warmup:
            words += ["--warmup", warmup, "--warmup-start", start]
        rising = lambda n: lr * (start + (1 - start) * n / warmup)
        return words, total, lambda n: rising(n) if n < warmup else rate(n - warmup)

    def check_rates(self):
        for _ in range(12):
            words, total, rate = self.schedule()
            each = self.random.choice([1, 1, 3])  # steps in an epoch; the log has the last one's
            unit = [] if each == 1 else ["--lr-unit", "epoch"]
            if "constant" in words and "--warmup" not in words:
                continue
            rows = self.rows("--data", "text.txt", "--seq-len", 8, "--batch", 2, "--epochs", total,
                             "--steps-per-epoch", each, *words, *unit)
            for n, row in enumerate(rows):
                self.near(f"learning rate of step {n}, {words}", row["learning_rate"], rate(n), 1e-7)
            if len(rows) != total:
                self.complain(f"{len(rows)} epochs, not {total}")

    def check_plateau(self):
        """The rate follows from the log's own losses."""
        for words, column in ((["--held-out", 0.1], "held_out_loss"), ([], "loss")):
            rows = self.rows("--data", "text.txt", "--seq-len", 8, "--batch", 4, "--epochs", 40, "--optimizer", "sgd",
                             "--lr", 3, "--schedule", "plateau", "--lr-patience", 2, "--lr-gamma", 0.5,
                             "--lr-absolute", "--lr-threshold", 0.02, "--lr-cooldown", 1, *words)
            lr, best, bad, cooling = 3.0, math.inf, 0, 0
            for row in rows:
                self.near("learning rate of plateau", row["learning_rate"], lr, 1e-7)
                better = row[column] < best - 0.02
                if abs(row[column] - best + 0.02) < 1e-4:
                    break  # the log's six digits do not say
                bad, best = (0, row[column]) if better else (bad + 1, best)
                if cooling > 0:
                    cooling, bad = cooling - 1, 0
                if bad > 2:
                    lr, cooling, bad = lr / 2, 1, 0

    # ---- Where windows are, and the state between them

    def check_order(self):
        """Without learning, the loss of an epoch is that of the text: with a carried state that of each of
        the parts which are read side by side."""
        still = ["--optimizer", "sgd", "--lr", 1e-30, "--epochs", 3, "--steps-per-epoch", 0, "--checkpoint", "still.safetensors"]
        for _ in range(4):
            time_steps, batch = self.random.randrange(5, 30), self.random.randrange(1, 6)
            sizes = ["--seq-len", time_steps, "--batch", batch, "--layers", self.random.choice([1, 2])]
            steps = (len(self.text) - 1) // time_steps // batch
            carried = self.rows("--data", "text.txt", *sizes, *still, "--carry")
            length = steps * time_steps
            parts = [self.eval("still.safetensors", self.text[b * length:(b + 1) * length + 1], "--carry")
                     for b in range(batch)]
            windows = self.rows("--data", "text.txt", *sizes, *still)
            for row in carried:
                self.near("loss with --carry", row["loss"], sum(parts) / batch, 2e-5)
            drawn = self.eval("still.safetensors", self.text[:steps * batch * time_steps + 1])
            for row in windows:
                self.near("loss of a pass", row["loss"], drawn, 2e-5)
            if abs(carried[0]["loss"] - windows[0]["loss"]) < 1e-6:
                self.complain("the state is not carried")
            offsets = self.rows("--data", "text.txt", *sizes, *still, "--random-offsets")
            if len({row["loss"] for row in offsets}) == 1 and time_steps > 8:
                self.complain("with --random-offsets all epochs are alike")
            self.near("loss with --random-offsets", offsets[0]["loss"], drawn, 0.05)

    def check_initial_state(self):
        """A state that begins with other numbers than 0 does so in eval --carry as in windows."""
        with open("begins.cell", "w") as stream:
            stream.write("c' = 0.9 * c + tanh(W x + U h + b)\nh' = tanh(c')\ninit c = 2\n")
        self.run("train", *SMALL, "--cell", "begins.cell", "--data", "text.txt", "--seq-len", 60, "--batch", 1, "--epochs", 1,
                 "--steps-per-epoch", 1, "--checkpoint", "begins.safetensors")
        piece = self.text[:50]
        self.near("eval --carry of a state that begins with 2", self.eval("begins.safetensors", piece, "--carry"),
                  self.eval("begins.safetensors", piece), 2e-6)

    def check_held_out(self):
        """Carried, the held-out loss is that of the parts; eval finds the same for one part."""
        for carry in ([], ["--carry"]):
            rows = self.rows("--data", "text.txt", "--held-out", 0.1, "--seq-len", 16, "--batch", 4, "--epochs", 3,
                             "--checkpoint", "held.safetensors", *carry)
            held = self.text[len(self.text) - int(0.1 * len(self.text)):]
            self.near("held-out loss", rows[-1]["held_out_loss"], self.eval("held.safetensors", held, *carry), 2e-2 if carry else 2e-6)

    def check_validation(self):
        cut = len(self.text) - int(0.2 * len(self.text))
        for name, part in (("first.txt", self.text[:cut]), ("second.txt", self.text[cut:])):
            with open(name, "w") as stream:
                stream.write(part)
        words = ["--seq-len", 8, "--batch", 4, "--epochs", 4, "--dropout", 0.1]
        one = self.timeless("--data", "text.txt", "--held-out", 0.2, *words)
        two = self.timeless("--data", "first.txt", "--validation", "second.txt", *words, "--checkpoint", "two.safetensors")
        if one != two:
            self.complain(f"--validation differs from --held-out: {one}, {two}")
        with open("third.txt", "w") as stream:
            stream.write(self.text[cut:-1])
        ran = self.run("train", "--resume", "two.safetensors", "--validation", "third.txt", "--epochs", 5, code=1)
        if "measured on another text than third.txt" not in ran.stderr:
            self.complain(f"another --validation: {ran.stderr}")
        with open("fourth.txt", "w") as stream:
            stream.write("\u2620 is not there")
        ran = self.run("train", *SMALL, "--data", "first.txt", "--validation", "fourth.txt", code=1)
        if "fourth.txt" not in ran.stderr or "U+2620" not in ran.stderr:
            self.complain(f"an unknown character: {ran.stderr}")

    # ---- When training ends, and what it leaves

    def check_patience(self):
        for _ in range(3):
            patience = self.random.randrange(1, 4)
            rows = self.rows("--data", "text.txt", "--held-out", 0.2, "--seq-len", 8, "--batch", 4, "--optimizer", "sgd", "--lr", 4,
                             "--steps-per-epoch", 40, "--epochs", 200, "--patience", patience, "--keep-best", "--checkpoint", "model.safetensors",
                             "--seed", self.random.randrange(1000))
            losses = [row["held_out_loss"] for row in rows]
            best = losses.index(min(losses))
            if len(rows) < 200 and len(rows) != best + patience + 1:
                self.complain(f"--patience {patience} ends after {len(rows)} epochs: {losses}")
            for end in range(1, len(rows)):
                earlier = losses[:end]
                if end - 1 - earlier.index(min(earlier)) >= patience:
                    self.complain(f"--patience {patience} should have ended after {end} epochs: {losses}")
            held = self.text[len(self.text) - int(0.2 * len(self.text)):]
            self.near("held-out loss of the best model", self.eval("model.best.safetensors", held), min(losses), 2e-6)
            self.near("held-out loss of the last model", self.eval("model.safetensors", held), losses[-1], 2e-6)
            # A finished run stays finished, and the best model can be gone on with.
            again = self.run("train", "--resume", "model.safetensors", "--log", "-", "--quiet")
            if len(again.stdout.splitlines()) != len(rows) + 1:
                self.complain("a run that --patience has ended goes on")
            self.run("train", "--resume", "model.best.safetensors", "--epochs", best + 2, "--patience", 0, "--quiet")

    def check_time_limit(self):
        words = ["--data", "text.txt", "--seq-len", 8, "--batch", 2, "--steps-per-epoch", 500, "--epochs", 10,
                 "--schedule", "cosine", "--carry"]
        whole = self.timeless(*words, "--checkpoint", "whole.safetensors")
        began = time.monotonic()
        self.rows(*words, "--checkpoint", "cut.safetensors", "--time-limit", "0.1s")
        if time.monotonic() - began > 30:
            self.complain("--time-limit 0.1s takes half a minute")
        for _ in range(2):
            ran = self.run("train", "--resume", "cut.safetensors", "--time-limit", "0.1s")
            if "the time limit is reached; cut.safetensors has all" not in ran.stderr and "after 10 epochs" not in ran.stderr:
                self.complain(f"--time-limit says {ran.stderr}")
        ran = self.run("train", "--resume", "cut.safetensors", "--log", "-", "--quiet")
        rows = [{key: float(value) for key, value in row.items() if key != "seconds"}
                for row in csv.DictReader(io.StringIO(ran.stdout))]
        if rows != whole:
            self.complain("after the time limit training goes on to another end")
        self.same("whole.safetensors", "cut.safetensors")

    def same(self, a, b):
        with open(a, "rb") as left, open(b, "rb") as right:
            if left.read() != right.read():
                self.complain(f"{a} and {b} differ")

    # ---- Seeds, optimizers, presets

    def check_seeds(self):
        words = ["--data", "text.txt", "--held-out", 0.1, "--seq-len", 8, "--batch", 4, "--epochs", 3]
        first, count = self.random.randrange(1000), 3
        ran = self.run("train", *[w for w in SMALL if w != "--quiet"], *words, "--seed", first, "--seeds", count, "--log", "seeds.csv",
                       "--checkpoint", "s.safetensors", "--keep-best")
        with open("seeds.csv", newline="") as stream:
            rows = list(csv.DictReader(stream))
        if list(rows[0])[:2] != ["epoch", "seed"]:
            self.complain(f"columns of several seeds: {list(rows[0])}")
        ends = []
        for seed in range(first, first + count):
            own = [{key: float(value) for key, value in row.items() if key not in ("seconds", "seed")}
                   for row in rows if int(row["seed"]) == seed]
            alone = self.timeless(*words, "--seed", seed, "--checkpoint", "alone.safetensors")
            if own != alone:
                self.complain(f"seed {seed} of several: {own}, alone {alone}")
            ends.append(own[-1]["loss"])
            for ending in ("", ".best"):
                if self.weights(f"s.seed-{seed}{ending}.safetensors") is None:
                    self.complain(f"no model of seed {seed}")
            if self.weights(f"s.seed-{seed}.safetensors") != self.weights("alone.safetensors"):
                self.complain(f"weights of seed {seed}")
        mean = sum(ends) / count
        deviation = math.sqrt(sum((end - mean) ** 2 for end in ends) / (count - 1))
        found = re.search(r"loss of 3 seeds: mean (\S+), standard deviation (\S+)", ran.stderr)
        self.near("mean of seeds", float(found[1]), mean, 1e-5)
        self.near("deviation of seeds", float(found[2]), deviation, 1e-2)

    def check_names(self):
        """Runs of several seeds write beside each other, and over nothing that they read."""
        words = ["train", *SMALL, "--data", "text.txt", "--held-out", 0.1, "--seq-len", 8, "--batch", 4, "--epochs", 1, "--seeds", 2,
                 "--steps-per-epoch", 3]
        self.run(*words, "--checkpoint", "n.safetensors", "--keep-best")
        os.rename("n.seed-2.safetensors", "other.safetensors")
        for path in ("other.safetensors", "n.seed-1.best.safetensors"):
            ran = self.run("train", "--resume", path, "--epochs", 2, code=2)
            if "is one of several runs" not in ran.stderr:
                self.complain(f"--resume {path}: {ran.stderr}")
        ran = self.run("train", "--resume", "n.seed-1.safetensors", "--epochs", 2, "--quiet")
        if "seed 2: there is no n.seed-2.safetensors; it begins anew" not in ran.stderr:
            self.complain(f"a file that is missing: {ran.stderr}")
        for part, log, message in (("seed-1", [], "--data would be overwritten"), ("seed-2.best", [], "--data would be overwritten"),
                                   ("seed-2", ["--log", "d.seed-1.safetensors"], "--log and --checkpoint name the same file")):
            shutil.copy("text.txt", f"d.{part}.safetensors")
            data = "text.txt" if log else f"d.{part}.safetensors"
            ran = self.run(*[data if word == "text.txt" else word for word in words], "--checkpoint", "d.safetensors", "--keep-best",
                           *log, code=2)
            if message not in ran.stderr:
                self.complain(f"{part}: {ran.stderr}")
            self.same("text.txt", f"d.{part}.safetensors")
            os.remove(f"d.{part}.safetensors")

    @staticmethod
    def header(path):
        with open(path, "rb") as stream:
            size = struct.unpack("<Q", stream.read(8))[0]
            return json.loads(stream.read(size)), stream.read()

    def weights(self, path):
        header, data = self.header(path)
        return {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()
                if name != "__metadata__" and not name.startswith(("optimizer.", "training."))}

    def check_optimizers(self):
        """Each parameter arrives where the library has it; one that the optimizer does not read is refused."""
        number = lambda low, high: round(self.random.uniform(low, high), 6)
        parameters = {
            "lr": ("sgd adagrad adam adamw rmsprop", number(0.001, 0.1)), "lr-decay": ("adagrad", number(0, 0.1)),
            "initial-accumulator": ("adagrad", number(0, 1)), "beta1": ("adam adamw", number(0, 1)),
            "beta2": ("adam adamw", number(0.5, 1)), "alpha": ("rmsprop", number(0, 1)),
            "epsilon": ("adagrad adam adamw rmsprop", number(0.0001, 0.1)), "momentum": ("sgd rmsprop", number(0, 1)),
            "dampening": ("sgd", number(0, 1)), "weight-decay": ("sgd adagrad adam adamw rmsprop", 0),
            "clip-norm": ("sgd adagrad adam adamw rmsprop", number(0.1, 2)), "nesterov": ("sgd", None),
            "amsgrad": ("adam adamw", None), "centered": ("rmsprop", None),
            "lazy-rows": ("sgd adagrad adam adamw rmsprop", None)}
        for name, (readers, value) in parameters.items():
            for optimizer in ("sgd", "adagrad", "adam", "adamw", "rmsprop"):
                words = ["--data", "text.txt", "--seq-len", 5, "--batch", 2, "--epochs", 1, "--steps-per-epoch", 1,
                         "--optimizer", optimizer, f"--{name}"] + ([] if value is None else [value])
                words += ["--momentum", 0.5] if name == "nesterov" else []
                if optimizer not in readers.split():
                    ran = self.run("train", *SMALL, *words[:-2] if name == "nesterov" else words, code=2)
                    if f"--{name} means nothing to the optimizer {optimizer}" not in ran.stderr:
                        self.complain(f"{words}: {ran.stderr}")
                    continue
                self.run("train", *SMALL, *words, "--checkpoint", "o.safetensors")
                settings = json.loads(self.header("o.safetensors")[0]["__metadata__"]["optimizer"])
                found = settings["groups"][0][name.replace("-", "_")]
                if found != (True if value is None else value):
                    self.complain(f"{optimizer} --{name} {value} is {found}")

    def check_presets(self):
        text = self.run("train", "--help").stdout
        text = text[text.index("\nPresets"):text.index("\nSchedules")]
        presets = re.findall(r"^  (\S+): .*\n((?:      .*\n)+)", text, re.M)
        if not presets:
            self.complain(f"no preset in {text}")
        for name, options in presets:
            words = options.split()
            small = {"--hidden": "12", "--embedding": "8", "--layers": "1", "--seq-len": "8", "--batch": "2", "--epochs": "2",
                     "--steps-per-epoch": "3"}
            for option in small:
                if option in words:
                    at = words.index(option)
                    del words[at:at + 2]
            over = [word for pair in small.items() for word in pair]
            self.run("train", "--data", "text.txt", "--preset", name, *over, "--checkpoint", "preset.safetensors", "-q")
            self.run("train", "--data", "text.txt", *words, *over, "--checkpoint", "words.safetensors", "-q")
            self.same("preset.safetensors", "words.safetensors")
            self.run("train", "--resume", "preset.safetensors", "--epochs", 3, "-q")
            self.run("train", "--resume", "preset.safetensors", "--preset", name, code=2)
        self.run("train", "--preset", "no-such-preset", code=2)

    def check_page(self):
        """Every command of the page is right, on a short text."""
        page = os.path.join(self.source, "docs", "training.md")
        with open("book.txt", "w") as book, open("other.txt", "w") as other:
            book.write(self.text)
            other.write(self.text[100:1500])
        with open(page) as stream:
            blocks = re.findall(r"^```sh\n(.*?)^```", stream.read(), re.M | re.S)
        commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        if len(commands) < 8:
            self.complain(f"{page} has {len(commands)} commands")
        for command in commands:
            self.run(*command.split()[1:])

    def check_all(self):
        words = ["the", "kettle", "again", "Pell", "tide", "and", "a", "line", "of", "toast", "Zoe", "boils"]
        self.text = "".join(self.random.choice(words) + self.random.choice("   \n") for _ in range(1500))
        with open("text.txt", "w") as stream:
            stream.write(self.text)
        for name in dir(self):
            if name.startswith("check_") and name != "check_all":
                getattr(self, name)()


def main():
    cerebra = os.path.realpath(sys.argv[1])
    source = os.path.realpath(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    print(f"training.py {seed}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        training = Training(cerebra, source, seed)
        training.check_all()
        os.chdir("/")
    if training.failures:
        sys.exit(f"{training.failures} failures")
    print("all passed")


if __name__ == "__main__":
    main()
