"""Generation written out: one sequence, one position at a time, every key and value looked up by
name. Slow, and nothing of ``trm_model.model.generations.autoregressive`` is used."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from trm_model.model.layers import rms_norm
from trm_model.model.layout import Layout
from trm_model.model.mixers.attention import Attention, rotary_table
from trm_model.model.positions.rope import Rotary
from trm_model.model.reasoner import Reasoner

Key = tuple[int, int, int, int]
"""Position, supervision step, call, layer."""


def rotated(x: Tensor, position: int) -> Tensor:
    """x [H, d] turned to its position."""
    angles = Rotary().angles(Layout(0, position + 1), x.shape[-1])
    cosine, sine = rotary_table(angles)[:, position]
    left, right = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-right, left), dim=-1) * sine


def plain_generation(
    reasoner: Reasoner,
    inputs: list[int],
    counted: list[bool],
    steps: int,
    *,
    halting: bool,
    final: bool,
) -> tuple[Tensor, list[int]]:
    """Logits [L, V] of every cell after its last step, and how many steps each took."""
    v, width, heads, prefix = (
        reasoner.variant,
        reasoner.size.width,
        reasoner.size.heads,
        reasoner.size.prefix,
    )
    assert isinstance(v.mixer, Attention)
    weights = {name: p.detach() for name, p in reasoner.named_parameters()}
    first, kept, taken = (
        prefix + counted.index(True),
        dict[Key, tuple[Tensor, Tensor]](),
        list[int](),
    )

    def seen(reader: int, step: int, call: int, layer: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values that a position reads: of earlier ones, then its own."""
        found: list[tuple[Tensor, Tensor]] = []
        for position in range(reader + 1):
            if position < reader and final and reader >= first:
                where = (
                    position,
                    taken[position] - 1,
                    (v.cycles - 1) * (v.latent_updates + 1) + call % (v.latent_updates + 1),
                )
            else:
                where = (
                    position,
                    step if position == reader else min(step, taken[position] - 1),
                    call,
                )
            found.append(kept[*where, layer])
        return found

    def network(number: int, x: Tensor, position: int, step: int, call: int) -> Tensor:
        name = f"networks.{min(number, len(reasoner.networks) - 1)}"
        layers = v.layers if number == 0 or v.answer_layers is None else v.answer_layers
        for layer in range(layers):
            query, key, value = (weights[f"{name}.{layer}.mixer.qkv"] @ x).view(3, heads, -1)
            if v.mixer == Attention():
                query, key = rotated(query, position), rotated(key, position)
            kept[position, step, call, layer] = key, value
            keys, values = (
                torch.stack(each, dim=1)
                for each in zip(*seen(position, step, call, layer), strict=True)
            )
            shares = ((keys @ query[:, :, None]).squeeze(-1) / math.sqrt(width // heads)).softmax(
                -1
            )
            mixed = (shares[:, None, :] @ values).reshape(-1)
            x = rms_norm(x + weights[f"{name}.{layer}.mixer.out"] @ mixed)
            gate, up = (weights[f"{name}.{layer}.channels.gate_up"] @ x).chunk(2)
            x = rms_norm(
                x + weights[f"{name}.{layer}.channels.down"] @ (gate * gate.sigmoid() * up)
            )
        return x

    head: Callable[[Tensor], Tensor] = lambda y: weights["head"] @ y  # noqa: E731
    logits, before = list[Tensor](), 0
    for position in range(prefix + len(inputs)):
        cell = position - prefix
        if cell < 0:
            x = reasoner.puzzle_rows[0].new_zeros(prefix * width)
            x[: reasoner.size.puzzle_width] = reasoner.puzzle_rows[0]
            x = x.view(prefix, width)[position]
        else:
            x = weights["tokens"][inputs[cell]]
            if cell:
                x = x + weights["answer_tokens"][before]
        if reasoner.positions is not None:
            x = math.sqrt(0.5) * (x + weights["positions"][position])
        x = math.sqrt(width) * x
        y, z = reasoner.answer_start, list(reasoner.latent_starts)
        step = 0
        for step in range(steps):
            call = 0
            for _ in range(v.cycles):
                for update in range(v.latent_updates):
                    if z:
                        z[update % len(z)] = network(0, sum(z, start=y + x), position, step, call)
                    else:
                        y = network(0, y + x, position, step, call)
                    call += 1
                y = network(1, sum(z, start=y), position, step, call)
                call += 1
            wants = float(weights["halt_weight"][0] @ y + weights["halt_bias"][0]) > 0
            if halting and cell >= 0 and counted[cell] and wants:
                break
        taken.append(step + 1)
        if cell >= 0:
            logits.append(head(y))
            before = int(logits[-1].argmax()) if counted[cell] else 0
    return torch.stack(logits), taken[prefix:]
