"""What bench/compare_torch.py measures in PyTorch; it starts this file in a process of its own.

    torch_worker.py RIVAL --threads N --batch N --hidden N --time N --symbols N

RIVAL is one of RIVALS. An empty JSON object is written once the model has run, and has been
compiled. Then, for each number N read on a line, N training steps (or characters) are run, and an
object with the milliseconds of each step (of all characters) and the most memory that the process
has had in use is written.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn


class Recurrent(nn.Module):
    """Base of the models: embedding, recurrent layers, linear layer, mean cross entropy."""

    def __init__(self, sizes, rnn):
        super().__init__()
        self.embedding = nn.Embedding(sizes.symbols, sizes.hidden)
        self.rnn = rnn
        self.head = nn.Linear(sizes.hidden, sizes.symbols)

    def forward(self, x, y):
        h, _ = self.rnn(self.embedding(x))
        return nn.functional.cross_entropy(self.head(h).flatten(0, 1), y.flatten())


class MergedCerebral(nn.Module):
    """A Cerebral LSTM as one would write it for speed: eight gates in one product, the inputs of
    all time steps projected at once."""

    def __init__(self, hidden):
        super().__init__()
        self.input = nn.Linear(hidden, 8 * hidden)
        self.recurrent = nn.Linear(hidden, 8 * hidden)

    def forward(self, x):
        h = upper = lower = x.new_zeros(x.shape[1:])
        outputs = []
        # Indexing by the time step instead would fill a gradient of all steps at each of them.
        for projected in self.input(x).unbind(0):
            z = (projected + self.recurrent(h)).chunk(8, -1)
            i, f, g, o = z[0].sigmoid(), z[1].sigmoid(), z[2].tanh(), z[3].sigmoid()
            upper = f * upper + i * g
            h = o * upper.tanh()
            i, f, g, o = z[4].sigmoid(), z[5].sigmoid(), z[6].tanh(), z[7].sigmoid()
            lower = f * lower + i * g
            h = h + o * lower.tanh()
            outputs.append(h)
        return torch.stack(outputs), None


def authors_cerebral(hidden):
    from cerebral_lstm import CerebralLSTM  # only this rival needs the package

    return CerebralLSTM(hidden, hidden)


class Training:
    """Training steps: a batch of random symbols, forward, backward, Adagrad."""

    warm_up = 2

    def __init__(self, sizes, rnn, compiled=False):
        self.sizes = sizes
        model = Recurrent(sizes, rnn)
        self.optimizer = torch.optim.Adagrad(
            model.parameters(), lr=0.05, initial_accumulator_value=0.1
        )
        self.loss = torch.compile(model) if compiled else model

    def step(self):
        shape = (self.sizes.time, self.sizes.batch)
        x = torch.randint(0, self.sizes.symbols, shape)
        y = torch.randint(0, self.sizes.symbols, shape)
        self.optimizer.zero_grad()
        self.loss(x, y).backward()
        self.optimizer.step()

    def run(self, count):
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            self.step()
            times.append(1e3 * (time.perf_counter() - begin))
        return times


class Sampling:
    """Characters drawn one after the other from one stream, at a temperature of 0.8."""

    warm_up = 50

    def __init__(self, sizes, advance):
        """advance: module, embedded character, state -> output, state."""
        self.embedding = nn.Embedding(sizes.symbols, sizes.hidden)
        self.head = nn.Linear(sizes.hidden, sizes.symbols)
        self.advance = advance

    @torch.inference_mode()
    def run(self, count):
        begin = time.perf_counter()
        character, state, text = torch.zeros(1, dtype=torch.int64), None, []
        for _ in range(count):
            output, state = self.advance(self.embedding(character), state)
            weights = torch.softmax(self.head(output)[0] / 0.8, 0)
            character = torch.multinomial(weights, 1)
            text.append(character.item())
        return [1e3 * (time.perf_counter() - begin)]


def sampling_lstm(sizes):
    return Sampling(sizes, nn.LSTM(sizes.hidden, sizes.hidden))


def sampling_lstm_cell(sizes):
    cell = nn.LSTMCell(sizes.hidden, sizes.hidden)

    def advance(x, state):
        state = cell(x, state)
        return state[0], state

    return Sampling(sizes, advance)


RIVALS = {
    "nn.LSTM": lambda s: Training(s, nn.LSTM(s.hidden, s.hidden)),
    "nn.LSTM, 2 layers": lambda s: Training(s, nn.LSTM(s.hidden, s.hidden, num_layers=2)),
    "cerebral_lstm": lambda s: Training(s, authors_cerebral(s.hidden)),
    "merged gates": lambda s: Training(s, MergedCerebral(s.hidden)),
    "merged, compiled": lambda s: Training(s, MergedCerebral(s.hidden), compiled=True),
    "sampling, nn.LSTM": sampling_lstm,
    "sampling, nn.LSTMCell": sampling_lstm_cell,
}


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rival", choices=RIVALS)
    for option in ("threads", "batch", "hidden", "time", "symbols"):
        parser.add_argument(f"--{option}", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    rival = RIVALS[options.rival](options)
    rival.run(rival.warm_up)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        rival.run(rival.warm_up)  # brings back what the other side has displaced from the caches
        times = rival.run(int(line))
        print(json.dumps({"milliseconds": times, "peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
