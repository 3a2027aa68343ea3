#!/usr/bin/env python3
"""Kills training at random moments and goes on with it: kill.py CEREBRA KILLS [SEED].

Runs are killed with SIGKILL, and begun again with --resume (reproduce: by the same command), until
they come to their end, with other numbers of threads and other intervals between checkpoints each
time. Every other run has options of its own, drawn anew. Weights, states, figures, samples and logs but for the column of seconds have to be those of a
run that was not stopped, byte for byte.
"""
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

SIZES = ["--hidden", "24", "--batch", "8", "--seq-len", "12", "--quiet"]
TRAIN = SIZES + ["--embedding", "16", "--epochs", "5", "--steps-per-epoch", "40"]
RUNS = {
    "lstm": ["train"] + TRAIN + ["--cell", "lstm", "--layers", "2", "--dropout", "0.2", "--held-out",
                                 "0.05", "--optimizer", "adam"],
    "cerebral": ["train"] + TRAIN + ["--cell", "cerebral-lstm", "--optimizer", "adagrad"],
    "clipped": ["train"] + TRAIN + ["--cell", "gru", "--optimizer", "rmsprop", "--momentum", "0.5",
                                    "--clip-norm", "1"],
    "reproduce": ["reproduce"] + SIZES + ["--epochs", "2", "--steps-per-epoch", "25"],
}


CELLS = ["lstm", "gru", "cerebral-lstm", "rnn", "layernorm-lstm", "minlstm"]
OPTIMIZERS = {
    "sgd": ["--lr 0.5", "--momentum 0.8 --nesterov", "--momentum 0.5 --dampening 0.2", "--weight-decay 0.001"],
    "adagrad": ["--lr-decay 0.01", "--epsilon 1e-6", "--lr 0.02 --initial-accumulator 0.5"],
    "adam": ["--beta1 0.8 --beta2 0.99", "--amsgrad", "--lr 0.01", "--lazy-rows"],
    "adamw": ["--weight-decay 0.1", "--epsilon 1e-5", "--clip-norm 0.5"],
    "rmsprop": ["--alpha 0.9", "--centered --momentum 0.3", "--lr 0.002"],
}
SCHEDULES = ["--schedule cosine", "--schedule cosine --lr-period 30 --lr-repeat --lr-min 0.001",
             "--schedule step --lr-period 17 --lr-gamma 0.5", "--schedule multi-step --lr-milestones 11,50",
             "--schedule exponential --lr-gamma 0.99", "--schedule plateau --lr-patience 1 --lr-gamma 0.5",
             "--schedule plateau --lr-patience 1 --lr-absolute --lr-threshold 0.5 --lr-cooldown 1",
             "--schedule exponential --lr-gamma 0.8 --lr-unit epoch"]


def random_options(choose):
    """Options of train that are new each time."""
    maybe = lambda text, chance=0.5: text.split() if choose.random() < chance else []
    optimizer = choose.choice(list(OPTIMIZERS))
    whole_pass = choose.random() < 0.3
    words = ["train", "--hidden", "24", "--seq-len", "12", "--quiet", "--embedding", "16", "--epochs", "5"]
    words += ["--batch", "64" if whole_pass else "8", "--steps-per-epoch", "0" if whole_pass else "40"]
    words += ["--cell", choose.choice(CELLS), "--layers", choose.choice(["1", "2"]), "--optimizer", optimizer,
              "--seed", str(choose.randrange(10**6))]
    words += maybe(choose.choice(OPTIMIZERS[optimizer])) + maybe(choose.choice(SCHEDULES), 0.7)
    if "--schedule" in words:
        words += maybe("--warmup 2" if "plateau" in words or "epoch" in words else "--warmup 25")
    words += maybe("--carry") + maybe("--random-offsets") + maybe("--dropout 0.1", 0.3)
    if choose.random() < 0.5:
        words += ["--held-out", "0.1"] + maybe("--patience 1") + maybe("--keep-best")
    return words + maybe("--seeds 2", 0.25)


def outputs(name, directory):
    if name == "reproduce":
        return ["--out", directory]
    return ["--checkpoint", f"{directory}/model.safetensors", "--log", f"{directory}/log.csv"]


def contents(cerebra, name, directory):
    """What a run has left, as a dictionary of bytes, and what its model writes."""
    found = {}
    for file in sorted(os.listdir(directory)):
        path = os.path.join(directory, file)
        if file.endswith(".csv"):
            with open(path, newline="") as stream:
                rows = [row for row in csv.reader(stream)]
            drop = rows[0].index("seconds")
            found[file] = repr([row[:drop] + row[drop + 1:] for row in rows]).encode()
        elif file != "report.md":  # it has the seconds, too; it is made of the logs
            with open(path, "rb") as stream:
                found[file] = stream.read()
    for file in [file for file in found if file.endswith(".safetensors")]:
        found["what " + file + " writes"] = subprocess.run(
            [cerebra, "sample", "--checkpoint", os.path.join(directory, file), "--length", "200",
             "--seed", "5"], check=True, capture_output=True).stdout
    return found


class Campaign:
    def __init__(self, cerebra, kills, seed):
        self.cerebra, self.wanted, self.kills = cerebra, kills, 0
        self.random = random.Random(seed)
        self.rounds = {name: 0 for name in list(RUNS) + ["random"]}
        self.options = dict(RUNS)

    def command(self, name, directory):
        found = [f"{directory}/{file}" for file in sorted(os.listdir(directory))
                 if file.endswith(".safetensors") and not file.startswith(".") and ".best." not in file]
        if name != "reproduce" and found:
            checkpoint = self.random.choice(found)
            words = ["train", "--resume", checkpoint, "--quiet", "--log", f"{directory}/log.csv"]
        else:
            words = self.options[name] + outputs(name, directory)
        every = self.random.choice([None, "1", "7", "33"])
        words = words + ["--threads", str(self.random.choice([1, 2, 3]))]
        if name != "reproduce" and found and self.random.random() < 0.2:
            words += ["--time-limit", f"{self.random.uniform(0.01, 0.5):.3f}s"]
        return [self.cerebra] + words + (["--checkpoint-every", every] if every else [])

    def run_to_the_end(self, name, directory, length):
        """Runs and kills; from time to time it is let alone, so that it comes to its end."""
        while True:
            command = self.command(name, directory)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            if self.kills < self.wanted:
                time.sleep(self.random.uniform(0, length))
                process.send_signal(signal.SIGKILL)
            error = process.communicate()[1].decode(errors="replace")
            if process.returncode == 0 and "--time-limit" not in command:
                return
            if process.returncode == 0:
                continue
            if process.returncode != -signal.SIGKILL:
                sys.exit(f"{name}: exit code {process.returncode}: {error}")
            self.kills += 1

    def once(self, name, work):
        whole, cut = os.path.join(work, "whole"), os.path.join(work, "cut")
        os.mkdir(whole)
        os.mkdir(cut)
        if name == "random":
            self.options[name] = random_options(self.random)
            print(" ".join(self.options[name]), flush=True)
        begin = time.monotonic()
        subprocess.run([self.cerebra] + self.options[name] + outputs(name, whole), check=True)
        length = time.monotonic() - begin
        self.run_to_the_end(name, cut, length)
        expected, found = contents(self.cerebra, name, whole), contents(self.cerebra, name, cut)
        leftover = [file for file in os.listdir(cut) if file.startswith(".")]
        if leftover:
            sys.exit(f"{name}: left over: {leftover}")
        for key in sorted(set(expected) | set(found)):
            if expected.get(key) != found.get(key):
                sys.exit(f"{name}: {key} is not as it is without a stop")
        self.rounds[name] += 1

    def run(self):
        while self.kills < self.wanted:
            for name in [name for fixed in RUNS for name in (fixed, "random")]:
                with tempfile.TemporaryDirectory() as work:
                    self.once(name, work)
                if self.kills >= self.wanted:
                    break


def main():
    cerebra, kills = os.path.realpath(sys.argv[1]), int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    print(f"kill.py {kills} {seed}", flush=True)
    campaign = Campaign(cerebra, kills, seed)
    campaign.run()
    rounds = ", ".join(f"{name} {count}" for name, count in campaign.rounds.items())
    print(f"killed {campaign.kills} times; runs that ended as without a stop: {rounds}")


if __name__ == "__main__":
    main()
