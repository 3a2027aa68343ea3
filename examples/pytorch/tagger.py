#!/usr/bin/env python3
"""The PyTorch side of 13_pytorch.c. Needs the packages torch and safetensors.

    tagger.py write tagger.safetensors     a network's weights, an input, and what it makes of it
    tagger.py read trained.safetensors     the weights that 13_pytorch.c wrote, into the same network
"""

import sys

import torch
from safetensors.torch import load_file, save_file


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(12, 6)
        self.rnn = torch.nn.LSTM(6, 8, num_layers=2, bidirectional=True)
        self.norm = torch.nn.LayerNorm(16)
        self.head = torch.nn.Linear(16, 3)

    def forward(self, x):  # [time, batch]
        return self.head(self.norm(self.rnn(self.embedding(x))[0]))


def main():
    torch.manual_seed(1)
    model = Tagger()
    if sys.argv[1] == "write":
        x = torch.randint(12, (7, 3))
        with torch.no_grad():
            logits = model(x)
        save_file({**model.state_dict(), "x": x, "logits": logits}, sys.argv[2])
    else:
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(load_file(sys.argv[2]))  # strict: all names and shapes
        changed = [name for name, value in model.state_dict().items() if not value.equal(before[name])]
        print(f"{len(changed)} of {len(before)} tensors are other ones")


if __name__ == "__main__":
    main()
