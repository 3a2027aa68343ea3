#!/usr/bin/env python3
"""Lets every write, fsync, rename and open of a training run fail, one at a time, and requests for
memory at random: faults.py CEREBRA FAILING_MALLOC REQUESTS [SEED].

Whatever fails, the checkpoint that was there, or a later one, is there afterwards, and the run that
goes on from it ends as one without a fault, byte for byte. A run that says that it is done is done,
and one that is not says in one line why.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

OPTIONS = ["--hidden", "8", "--embedding", "8", "--batch", "4", "--seq-len", "8", "--layers", "2",
           "--dropout", "0.1", "--optimizer", "adam", "--steps-per-epoch", "4", "--quiet"]
SYSTEM_CALLS = [("write", "ENOSPC", "No space left on device"), ("fsync", "EIO", "Input/output error"),
                ("rename", "EACCES", "Permission denied"), ("openat", "EMFILE", "Too many open files")]


class Faults:
    def __init__(self, cerebra, shim, seed):
        self.cerebra, self.shim, self.random = cerebra, shim, random.Random(seed)
        self.work = tempfile.mkdtemp()
        self.base, self.whole = os.path.join(self.work, "base"), os.path.join(self.work, "whole")
        self.count = {}
        for directory, epochs in ((self.base, 2), (self.whole, 4)):
            os.mkdir(directory)
            subprocess.run([self.cerebra, "train"] + OPTIONS + ["--epochs", str(epochs)] +
                           self.files(directory), check=True)

    @staticmethod
    def files(directory):
        return ["--checkpoint", f"{directory}/model.safetensors", "--log", f"{directory}/log.csv"]

    def resume(self, directory):
        return [self.cerebra, "train", "--resume", f"{directory}/model.safetensors", "--epochs", "4",
                "--log", f"{directory}/log.csv", "--quiet", "--threads", "2"]

    @staticmethod
    def contents(directory):
        with open(f"{directory}/model.safetensors", "rb") as stream:
            model = stream.read()
        with open(f"{directory}/log.csv") as stream:
            log = [line.split(",")[:2] for line in stream]
        return model, log

    def complain(self, what, text):
        sys.exit(f"{what}: {text}")

    def judge(self, what, directory, code, error, reason):
        """After a run with a fault; says whether it was done all the same."""
        whole = self.contents(self.whole)
        lines = [line for line in error.splitlines() if "libblis" not in line]
        if code == 0 and self.contents(directory) != whole:
            self.complain(what, "it says that it is done, and is not")
        # Where all writes fail, so does that of the message.
        silent = what.startswith("write ") and not lines
        no_library = code == 127 and "shared librar" in error
        if code > 0 and not silent and not no_library and (code != 1 or len(lines) != 1 or reason not in lines[0]):
            self.complain(what, f"exit code {code}, \"{error}\"")
        if code < 0 and "libblis" not in error:
            self.complain(what, f"signal {-code}, \"{error}\"")
        again = subprocess.run(self.resume(directory), capture_output=True, text=True)
        if again.returncode != 0:
            self.complain(what, f"cannot be gone on with: {again.stderr}")
        if self.contents(directory) != whole:
            self.complain(what, "goes on to another end")
        left = [file for file in os.listdir(directory) if file.startswith(".")]
        if left:
            self.complain(what, f"leaves {left}")
        return code == 0

    def run(self, what, command, environment, reason):
        directory = os.path.join(self.work, "cut")
        shutil.copytree(self.base, directory)
        ran = subprocess.run(command + self.resume(directory), capture_output=True, text=True,
                             env={**os.environ, **environment})
        done = self.judge(what, directory, ran.returncode, ran.stderr, reason)
        shutil.rmtree(directory)
        return done

    def fail_system_calls(self):
        """Each call in turn, until some in a row do not matter to the run: there are no more."""
        for call, error, reason in SYSTEM_CALLS:
            done_in_a_row = number = 0
            # A program opens many files of libraries that it can do without.
            while done_in_a_row < (50 if call == "openat" else 3):
                number += 1
                more = "+" if call == "write" else ""  # a disk stays full
                command = ["strace", "-f", "-o", os.path.join(self.work, "trace"), "-e",
                           f"inject={call}:error={error}:when={number}{more}"]
                done = self.run(f"{call} {number}", command, {}, reason if call != "openat" else "")
                done_in_a_row = done_in_a_row + 1 if done else 0
            self.count[call] = number - done_in_a_row

    def fail_requests(self, wanted):
        count_file = os.path.join(self.work, "count")
        self.run("counting", [], {"LD_PRELOAD": self.shim, "COUNT_TO": count_file}, "")
        with open(count_file) as stream:
            requests = int(stream.read())
        for _ in range(wanted):
            number = self.random.randint(1, requests)
            self.run(f"request {number} of {requests}", [],
                     {"LD_PRELOAD": self.shim, "FAIL_AT": str(number)}, "")
        self.count[f"of {requests} requests for memory"] = wanted


def main():
    cerebra, shim, wanted = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else int(time.time())
    print(f"faults.py {wanted} {seed}", flush=True)
    faults = Faults(cerebra, shim, seed)
    try:
        faults.fail_requests(wanted)
        if shutil.which("strace") is None:
            print("strace is not installed: system calls were left out")
        else:
            faults.fail_system_calls()
        print("failed: " + ", ".join(f"{count} {what}" for what, count in faults.count.items()))
    finally:
        shutil.rmtree(faults.work)


if __name__ == "__main__":
    main()
