"""Plain transcriptions of the training steps of TRM (token MLP or self-attention) and HRM, eager
and with stock torch operations: what ours is timed against.

Only benchmarks and their test use it. It follows the pseudocode of TRM's Figure 3 and of HRM's
section 2 with the facts of docs/architecture.md, in the order the papers give them, and shares no
code with ``trm_model``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is transcribed: TRM's or HRM's recursion over blocks of one kind."""

    mixer: Literal["mlp", "attention"]
    layers: int
    updates: int
    cycles: int
    networks: Literal[1, 2] = 1
    graded_calls: int | None = None
    """Calls with a gradient; None: those of the last cycle."""
    q_learning: bool = False


TRM_MLP = Plan(mixer="mlp", layers=2, updates=6, cycles=3)
TRM_ATTENTION = Plan(mixer="attention", layers=2, updates=6, cycles=3)
TRM_MAZE = replace(TRM_ATTENTION, updates=4)
HRM = Plan(
    mixer="attention", layers=4, updates=2, cycles=2, networks=2, graded_calls=2, q_learning=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a model and its batch."""

    batch: int
    length: int
    width: int
    prefix: int
    heads: int
    vocabulary: int


def norm(x: Tensor) -> Tensor:
    x32 = x.to(torch.float32)
    return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


class PlainLinear(nn.Module):
    """Without bias; the weight is cast to the activations' dtype where it is used."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class PlainSwiGlu(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        inner = -(-round(4 * width * 2 / 3) // 256) * 256
        self.gate_up = PlainLinear(width, 2 * inner)
        self.down = PlainLinear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


def rotary(positions: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [S, head width]."""
    frequencies = 10_000.0 ** -(torch.arange(0, width, 2) / width)
    angles = torch.outer(torch.arange(positions).float(), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Queries or keys [B, S, H, head width] with rotary positions."""
    left, right = x.chunk(2, dim=-1)
    halves = torch.cat((-right, left), dim=-1)
    return (x * cosine.unsqueeze(-2) + halves * sine.unsqueeze(-2)).to(x.dtype)


class PlainAttention(nn.Module):
    cosine: Tensor
    sine: Tensor

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = PlainLinear(width, 3 * width)
        self.out = PlainLinear(width, width)
        cosine, sine = rotary(positions, width // heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        query, key, value = self.qkv(x).view(batch, length, 3, self.heads, -1).unbind(2)
        query, key = (turned(each, self.cosine, self.sine) for each in (query, key))
        query, key, value = (each.transpose(1, 2) for each in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class PlainBlock(nn.Module):
    def __init__(self, plan: Plan, shape: Shape) -> None:
        super().__init__()
        positions = shape.prefix + shape.length
        self.mixes_channels = plan.mixer == "attention"
        self.mixer = (
            PlainAttention(shape.width, shape.heads, positions)
            if self.mixes_channels
            else PlainSwiGlu(positions)
        )
        self.channels = PlainSwiGlu(shape.width)

    def forward(self, x: Tensor) -> Tensor:
        if self.mixes_channels:
            x = norm(x + self.mixer(x))
        else:
            x = x.transpose(1, 2)
            x = norm(x + self.mixer(x))
            x = x.transpose(1, 2)
        return norm(x + self.channels(x))


class PlainModel(nn.Module):
    """The recursion: n latent calls and one answer call, T times; gradient through the last. It
    computes in the dtype of the state."""

    y0: Tensor
    z0: Tensor

    def __init__(self, plan: Plan, shape: Shape) -> None:
        super().__init__()
        self.plan, self.shape = plan, shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.networks = nn.ModuleList(
            nn.Sequential(*(PlainBlock(plan, shape) for _ in range(plan.layers)))
            for _ in range(plan.networks)
        )
        self.head = PlainLinear(shape.width, shape.vocabulary)
        self.halt = nn.Linear(shape.width, 2)
        self.register_buffer("y0", torch.zeros(shape.width))
        self.register_buffer("z0", torch.zeros(shape.width))

    def recurse(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        plan = self.plan
        calls = plan.cycles * (plan.updates + 1)
        graded = plan.graded_calls or plan.updates + 1
        for call in range(calls):
            with torch.set_grad_enabled(torch.is_grad_enabled() and call >= calls - graded):
                if call % (plan.updates + 1) < plan.updates:
                    z = self.networks[0](x + y + z)
                else:
                    y = self.networks[-1](y + z)
        return y, z

    def forward(
        self, inputs: Tensor, rows: Tensor, y: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, the two outputs of the halting head [B, 2], and the state."""
        width, prefix = self.shape.width, self.shape.prefix
        first = F.pad(rows, (0, prefix * width - rows.shape[1])).view(-1, prefix, width)
        x = (width**0.5 * torch.cat((first, self.tokens(inputs)), dim=1)).to(y.dtype)
        y, z = self.recurse(x, y, z)
        logits, halt = self.head(y)[:, prefix:].float(), self.halt(y[:, 0].float())
        return logits, halt, y.detach(), z.detach()


def plain_loss(logits: Tensor, halt: Tensor, labels: Tensor, following: Tensor | None) -> Tensor:
    """Stablemax cross-entropy and half the halting losses, per example of the batch; every cell is
    labelled. ``following``: the halting head's outputs a step later, for Q-learning."""
    x = logits.to(torch.float64)
    scores = torch.where(x < 0, 1 / (1 - x + 1e-30), x + 1)
    log_p = torch.log(scores / scores.sum(-1, keepdim=True))
    answer = -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1).mean(-1).sum()
    solved = (logits.argmax(-1) == labels).all(-1).float()
    judged = partial(F.binary_cross_entropy_with_logits, reduction="sum")
    halting = judged(halt[:, 0], solved)
    if following is not None:
        halting = halting + judged(halt[:, 1], following.amax(-1).sigmoid())
    return (answer + 0.5 * halting) / len(labels)


def plain_step(
    model: PlainModel,
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
    following = None
    if model.plan.q_learning:
        with torch.no_grad():
            following = model(inputs, rows, y, z)[1]
    loss = plain_loss(logits, halt, labels, following)
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


def renamed(plan: Plan, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under the transcription's names."""
    mixer = ("qkv", "out") if plan.mixer == "attention" else ("gate_up", "down")
    parts = [("mixer", part) for part in mixer] + [
        ("channels", part) for part in ("gate_up", "down")
    ]
    named = {
        "tokens.weight": state["tokens"],
        "head.weight": state["head"],
        "halt.weight": state["halt_weight"],
        "halt.bias": state["halt_bias"],
        "y0": state["answer_start"],
        "z0": state["latent_starts"][0],
    }
    for network in range(plan.networks):
        for layer in range(plan.layers):
            for kind, part in parts:
                name = f"networks.{network}.{layer}.{kind}.{part}"
                named[f"{name}.weight"] = state[name]
    return named


def plain_training(
    plan: Plan,
    shape: Shape,
    state: Mapping[str, Tensor],
    inputs: Tensor,
    labels: Tensor,
    dtype: torch.dtype = torch.float32,
    *,
    compiled: bool = False,
) -> Callable[[], Tensor]:
    """A training step of the transcription, on one batch of one puzzle id, which returns its loss.

    :param state: our weights, to begin with.
    :param dtype: of activations and products.
    :param compiled: let torch compile each block, as ours; the step as a whole, with its twenty and
        more calls, would take it minutes.
    """
    device = inputs.device
    model = PlainModel(plan, shape).to(device)
    if compiled:
        for block in (each for each in model.modules() if isinstance(each, PlainBlock)):
            block.compile(dynamic=False)
    model.load_state_dict(renamed(plan, state))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=1.0)
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    table, ids = torch.zeros(1, shape.width, device=device), torch.zeros_like(inputs[:, 0])
    start = (shape.batch, shape.prefix + shape.length, shape.width)
    carry = (model.y0.to(dtype).expand(start), model.z0.to(dtype).expand(start))

    def step() -> Tensor:
        nonlocal carry
        loss, carry = plain_step(model, optimizer, average, table, carry, inputs, labels, ids)
        return loss

    return step
