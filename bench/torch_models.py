"""The models of bench/models.c in PyTorch, for compare_ops.py: a training step is the forward pass, the loss, the
gradient of all weights, and an update of Adam."""
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, HEADS, LAYERS, STATE = 128, 4, 2, 256


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))

    def forward(self, x):
        return self.layers(x)


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 7 * 7, 10))

    def forward(self, x):
        return self.layers(x.view(-1, 1, 28, 28))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, time, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, time, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, time, classes):
        super().__init__()
        self.embedding = nn.Embedding(classes, WIDTH)
        self.positions = nn.Parameter(0.02 * torch.randn(time, WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens) + self.positions)))


class Translator(nn.Module):
    def __init__(self, time, words):
        super().__init__()
        self.time = time
        self.source, self.target = nn.Embedding(words, STATE), nn.Embedding(words, STATE)
        self.encoder, self.decoder = nn.LSTM(STATE, STATE), nn.LSTM(STATE, STATE)
        self.mix, self.head = nn.Linear(2 * STATE, STATE), nn.Linear(STATE, words)

    def forward(self, tokens):
        read, state = self.encoder(self.source(tokens[: self.time]))
        written, _ = self.decoder(self.target(tokens[self.time:]), state)
        keys = read.transpose(0, 1)
        seen = F.scaled_dot_product_attention(written.transpose(0, 1), keys, keys)
        return self.head(torch.tanh(self.mix(torch.cat([written, seen.transpose(0, 1)], -1))))


# Name as in models.c: the model, x, and classes and number of the targets.
MODELS = {
    "mlp": lambda: (Perceptron(), torch.randn(128, 784), 10, 128),
    "cnn": lambda: (Convolutional(), torch.randn(64, 784), 10, 64),
    "transformer, T = 64": lambda: (Transformer(64, 89), torch.randint(89, (16, 64)), 89, 16 * 64),
    "transformer, T = 256": lambda: (Transformer(256, 89), torch.randint(89, (8, 256)), 89, 8 * 256),
    "seq2seq": lambda: (Translator(32, 1000), torch.randint(1000, (64, 64)), 1000, 32 * 64),
}


class Training:
    """A model that is trained on one batch."""

    def __init__(self, name):
        self.model, self.x, self.classes, targets = MODELS[name]()
        self.targets = torch.randint(self.classes, (targets,))
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def weights(self):
        return sum(weight.numel() for weight in self.model.parameters())

    def step(self):
        self.adam.zero_grad()
        F.cross_entropy(self.model(self.x).reshape(-1, self.classes), self.targets).backward()
        self.adam.step()
