"""A plain transcription of TRM's training step (token MLP), eager and with stock torch operations:
what ours is timed against.

Only benchmarks and their test use it. It follows the pseudocode of TRM's Figure 3 with the facts of
docs/architecture.md, in the order the paper gives them, and shares no code with ``trm_model``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def norm(x: Tensor) -> Tensor:
    x32 = x.to(torch.float32)
    return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


class PlainSwiGlu(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        inner = -(-round(4 * width * 2 / 3) // 256) * 256
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class PlainBlock(nn.Module):
    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.tokens = PlainSwiGlu(length)
        self.channels = PlainSwiGlu(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        x = norm(x + self.tokens(x))
        x = x.transpose(1, 2)
        return norm(x + self.channels(x))


class PlainTrm(nn.Module):
    """Two blocks, n latent updates and T cycles; gradient through the last cycle."""

    def __init__(
        self, *, vocabulary: int, length: int, width: int, prefix: int, updates: int, cycles: int
    ) -> None:
        super().__init__()
        self.updates, self.cycles, self.prefix, self.width = updates, cycles, prefix, width
        self.tokens = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(PlainBlock(width, prefix + length) for _ in range(2))
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.halt = nn.Linear(width, 2)
        self.register_buffer("y0", torch.zeros(width))
        self.register_buffer("z0", torch.zeros(width))

    def network(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x

    def cycle(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.updates):
            z = self.network(x + y + z)
        return self.network(y + z), z

    def forward(
        self, inputs: Tensor, rows: Tensor, y: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        prefix = F.pad(rows, (0, self.prefix * self.width - rows.shape[1])).view(
            -1, self.prefix, self.width
        )
        x = self.width**0.5 * torch.cat((prefix, self.tokens(inputs)), dim=1)
        with torch.no_grad():
            for _ in range(self.cycles - 1):
                y, z = self.cycle(x, y, z)
        y, z = self.cycle(x, y, z)
        return self.head(y)[:, self.prefix :], self.halt(y[:, 0])[:, 0], y.detach(), z.detach()


def plain_loss(logits: Tensor, halt: Tensor, labels: Tensor) -> Tensor:
    """Stablemax cross-entropy and half the halting loss, per example of the batch; every cell is
    labelled."""
    x = logits.to(torch.float64)
    scores = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
    log_p = torch.log(scores / scores.sum(-1, keepdim=True))
    answer = -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1).mean(-1).sum()
    solved = (logits.argmax(-1) == labels).all(-1).float()
    return (answer + 0.5 * F.binary_cross_entropy_with_logits(halt, solved, reduction="sum")) / len(
        labels
    )


def plain_step(
    model: PlainTrm,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    table: Tensor,
    carry: tuple[Tensor, Tensor],
    inputs: Tensor,
    labels: Tensor,
    ids: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One optimizer step: forward, loss, backward, AdamW, sign-SGD on the puzzle rows, EMA. Returns
    the loss and the new carry."""
    rows = table[ids].requires_grad_()
    logits, halt, y, z = model(inputs, rows, *carry)
    loss = plain_loss(logits, halt, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    assert rows.grad is not None
    with torch.no_grad():
        for row in ids.unique():
            table[row] = table[row] * (1 - 1e-4) - 1e-4 * rows.grad[ids == row].sum(0).sign()
        for name, parameter in model.named_parameters():
            average[name] = 0.999 * average[name] + 0.001 * parameter
    return loss.detach(), (y, z)
