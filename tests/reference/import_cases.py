#!/usr/bin/env python3
"""Writes import/*: character models of PyTorch as safetensors files, their vocabulary, and what
PyTorch computes with them, for the test of `cerebra import`.

    python tests/reference/import_cases.py

This needs the packages torch and safetensors. The stored files were written with torch 2.15.0,
safetensors 0.8.0. NAME.safetensors is the model, NAME.logits.safetensors has `logits`, F64, for the
characters of the text below, [time, characters]; vocabulary.json the characters. The models are small
and untrained; logits are computed in f64 with the weights as they are stored.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent / "import"
CHARACTERS = "abcdehlo wr\u00e9"
TEXT = "hello world and a bad chord".replace("n", "\u00e9")
TEXT = "".join(c for c in TEXT if c in CHARACTERS)


class CharacterModel(nn.Module):
    """The names are those that models have in the wild; there is none that all use."""

    def __init__(self, kind, width, hidden, layers=1, bias=True, embedding=True, tied=False, head_bias=True):
        super().__init__()
        count = len(CHARACTERS)
        self.encoder = nn.Embedding(count, width) if embedding else None
        self.rnn = kind(width if embedding else count, hidden, layers, bias=bias)
        self.decoder = nn.Linear(hidden, count, bias=head_bias)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, numbers):
        x = nn.functional.one_hot(numbers, len(CHARACTERS)).to(self.decoder.weight.dtype)
        if self.encoder is not None:
            x = self.encoder(numbers)
        return self.decoder(self.rnn(x[:, None])[0])[:, 0]


CASES = {
    "lstm": lambda: CharacterModel(nn.LSTM, 5, 6, 2),
    "gru_same_sizes": lambda: CharacterModel(nn.GRU, 7, 7),
    "rnn_one_hot": lambda: CharacterModel(nn.RNN, 0, 6, embedding=False),
    "lstm_no_bias": lambda: CharacterModel(nn.LSTM, 4, 5, bias=False, head_bias=False),
    "gru_tied": lambda: CharacterModel(nn.GRU, 6, 6, 2, tied=True),
    "lstm_half": lambda: CharacterModel(nn.LSTM, 4, 5),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "vocabulary.json").write_text(json.dumps({c: i for i, c in enumerate(CHARACTERS)}) + "\n")
    (FOLDER / "text.txt").write_text(TEXT)
    numbers = torch.tensor([CHARACTERS.index(c) for c in TEXT])
    for seed, (name, make) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model = make().to(torch.bfloat16 if name == "lstm_half" else torch.float32)
        state = dict(model.state_dict())
        if name == "gru_tied":
            del state["decoder.weight"]  # as safetensors' save_model does
        save_file(state, FOLDER / f"{name}.safetensors")
        with torch.no_grad():
            logits = model.double()(numbers)
        save_file({"logits": logits}, FOLDER / f"{name}.logits.safetensors")


if __name__ == "__main__":
    main()
