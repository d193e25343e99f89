"""The authors' state dicts (TinyRecursiveModels at e7b6871): their names, and the model that a configuration of theirs means."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from trm_model.recipe import Size
from trm_model.variant import Attention, ConfigurationError, TokenMlp, Variant, require


def variant_of(config: Mapping[str, Any], state_names: Collection[str]) -> Variant:
    """The variant that an authors' configuration (option names as in their ``config/arch``) describes.

    The number of latents is not among their options (each is a model file of its own); the initial vectors in the state dict
    tell it: ``L_init`` alone: none; ``H_init`` and ``L_init``: one; ``H_init`` and ``L1_init``, ``L2_init``, …: several.

    :raises ConfigurationError: a model that is not built here.
    """
    name = config.get("class", "TinyRecursiveReasoningModel_ACTV1")
    require(
        name == "TinyRecursiveReasoningModel_ACTV1",
        f"model class {name!r} is not built yet: expected TinyRecursiveReasoningModel_ACTV1",
    )
    positions = config["pos_encodings"]
    if config.get("mlp_t", False):
        # Their token MLP ignores rotary positions.
        mixer = TokenMlp(positions="learned" if positions == "learned" else "none")
    else:
        mixer = Attention(positions=positions)
    several = sum(re.fullmatch(r"inner\.L\d+_init", name) is not None for name in state_names)
    return Variant(
        mixer=mixer,
        layers=config["L_layers"],
        latents=several or int("inner.H_init" in state_names),
        latent_updates=config["L_cycles"],
        cycles=config["H_cycles"],
    )


def size_of(config: Mapping[str, Any]) -> Size:
    """The sizes in an authors' configuration. ``puzzle_emb_len`` 0 means: as many positions as a row needs."""
    width, row = config["hidden_size"], config.get("puzzle_emb_ndim", 0)
    return Size(
        width=width,
        heads=config["num_heads"],
        expansion=config["expansion"],
        prefix=(config.get("puzzle_emb_len", 0) or -(-row // width)) if row else 0,
        puzzle_width=row,
    )


def start_names(variant: Variant) -> list[str]:
    """Their names of the initial vectors: of the answer, then of each latent."""
    if variant.latents == 0:
        return ["inner.L_init"]
    if variant.latents == 1:
        return ["inner.H_init", "inner.L_init"]
    return ["inner.H_init", *(f"inner.L{number}_init" for number in range(1, variant.latents + 1))]


def names(variant: Variant, size: Size) -> dict[str, str]:
    """Our names -> theirs, of all but the initial vectors (:func:`start_names`), whose shapes differ.

    :raises ConfigurationError: for variants that their code at this commit does not hold under these names.
    """
    require(
        variant.networks == "shared",
        f"networks={variant.networks!r}: the authors' code at this commit has names for one shared network only; use 'shared'",
    )
    mixing = (
        {"gate_up": "mlp_t.gate_up_proj", "down": "mlp_t.down_proj"}
        if isinstance(variant.mixer, TokenMlp)
        else {"qkv": "self_attn.qkv_proj", "out": "self_attn.o_proj"}
    )
    result = {
        "tokens": "inner.embed_tokens.embedding_weight",
        "head": "inner.lm_head.weight",
        "halt_weight": "inner.q_head.weight",
        "halt_bias": "inner.q_head.bias",
    }
    if size.puzzle_width:
        result["puzzle_rows"] = "inner.puzzle_emb.weights"
    if variant.mixer.positions == "learned":
        result["positions"] = "inner.embed_pos.embedding_weight"
    for layer in range(variant.layers):
        for ours, theirs in mixing.items():
            result[f"networks.0.{layer}.mixer.{ours}"] = f"inner.L_level.layers.{layer}.{theirs}.weight"
        for ours, theirs in (("gate_up", "gate_up_proj"), ("down", "down_proj")):
            result[f"networks.0.{layer}.channels.{ours}"] = f"inner.L_level.layers.{layer}.mlp.{theirs}.weight"
    return result


def to_ours(state: Mapping[str, Tensor], variant: Variant, size: Size) -> dict[str, Tensor]:
    """Their state dict under our names and shapes, for ``Reasoner.load_state_dict``.

    :raises ConfigurationError: naming missing or unexpected entries.
    """
    known, starts = names(variant, size), start_names(variant)
    expected = {*known.values(), *starts}
    missing, unexpected = sorted(expected - set(state)), sorted(set(state) - expected)
    if missing or unexpected:
        raise ConfigurationError(f"authors' state dict: missing {missing or 'nothing'}, unexpected {unexpected or 'nothing'}")
    ours = {name: state[theirs].to(torch.float32) for name, theirs in known.items()}
    answer, *latents = (state[name].to(torch.float32) for name in starts)
    ours["answer_start"] = answer
    ours["latent_starts"] = torch.stack(latents) if latents else answer.new_zeros(0, len(answer))
    if not size.puzzle_width:
        ours["puzzle_rows"] = torch.zeros(1, 0)
    return ours
