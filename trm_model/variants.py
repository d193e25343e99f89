"""The named variants: every row of the papers' tables, and what came after.

A new ablation is one line that changes one field of another entry. Users add their own as YAML
files (:func:`load_variants`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from trm_model.choices import from_plain
from trm_model.errors import require
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.experts import Experts
from trm_model.model.feed_forwards.gated_norm import GatedNorm
from trm_model.model.feed_forwards.short_convolution import ShortConvolution
from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.haltings.solved import WhenSolved
from trm_model.model.mixers.attention import Attention
from trm_model.model.positions.grid_rotary import GridRotary
from trm_model.model.positions.learned import Learned
from trm_model.model.selections.plurality import Plurality
from trm_model.model.solvers.anderson import Anderson
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.starts.random import RandomStart
from trm_model.model.variant import Variant
from trm_model.names import (
    OWN_VARIANTS_DEFAULT,
    OWN_VARIANTS_VARIABLE,
    unknown_name,
)
from trm_model.optimizers.muon import Muon
from trm_model.own_files import Named, files_of, read_all
from trm_model.texts import from_yaml

_TRM_MLP = Variant()
_TRM = replace(_TRM_MLP, mixer=Attention())
_HRM = replace(
    _TRM,
    networks="separate",
    layers=4,
    latent_updates=2,
    cycles=2,
    backprop=LastCalls(2),
    halting=QLearning(),
    ema=False,
)
_NOISY = NoisyStart()
_DRM = replace(_TRM, latent_updates=4, start=_NOISY, evaluation=Evaluation(depth=16))
_DIRECT = Variant(
    mixer=Attention(),
    layers=8,
    latents=0,
    latent_updates=0,
    cycles=1,
    deep_supervision=False,
    ema=False,
)
_GRID = Attention(positions=(GridRotary(), Learned()))
_GATED_NORM = replace(_TRM_MLP, feed_forward=GatedNorm())

TABLE_3 = ((1, 1), (2, 2), (3, 3), (4, 4), (6, 3), (3, 6), (6, 6))
"""(n of HRM, T) of TRM's Table 3; TRM's n is twice HRM's."""

VARIANTS: dict[str, Variant] = {
    "trm_mlp": _TRM_MLP,
    "trm": _TRM,
    "hrm": _HRM,
    "direct": _DIRECT,
    "drm": _DRM,
    # TRM, Table 1: one changed field against trm_mlp.
    "with_act": replace(_TRM_MLP, halting=QLearning()),
    "separate_networks": replace(_TRM_MLP, networks="separate"),
    "no_ema": replace(_TRM_MLP, ema=False),
    "four_layers": replace(_TRM_MLP, layers=4, latent_updates=3),
    "self_attention": _TRM,
    "two_cycles": replace(_TRM_MLP, cycles=2, latent_updates=2),
    "one_step_gradient": replace(_TRM_MLP, backprop=LastCalls(2)),
    # TRM, Table 2.
    "multi_scale": replace(_TRM_MLP, latents=6),
    "single_feature": replace(_TRM_MLP, latents=0),
    # TRM, Table 3.
    **{f"hrm_n{n}_t{t}": replace(_HRM, latent_updates=n, cycles=t) for n, t in TABLE_3},
    **{f"trm_n{2 * n}_t{t}": replace(_TRM_MLP, latent_updates=2 * n, cycles=t) for n, t in TABLE_3},
    # An independent analysis of HRM names deep supervision its main driver (arcprize.org, August
    # 2025).
    "no_deep_supervision": replace(_TRM_MLP, deep_supervision=False),
    # TRM, ideas that failed.
    "mixture_of_experts": replace(_TRM_MLP, feed_forward=Experts()),
    "last_k_gradient": replace(_TRM_MLP, backprop=LastCalls(4)),
    "stop_when_solved": replace(_TRM_MLP, halting=WhenSolved()),
    "tied_embeddings": replace(_TRM_MLP, tied=True),
    "fixed_point": replace(_TRM_MLP, solver=Anderson()),
    # After TRM.
    "gated_norm": _GATED_NORM,
    "muon": replace(_GATED_NORM, optimizer=Muon()),
    "short_convolution": replace(_TRM, feed_forward=ShortConvolution()),
    "depth_curriculum": replace(_TRM_MLP, curriculum=DepthCurriculum()),
    "winner_takes_all": replace(
        _TRM_MLP, start=RandomStart(count=4), evaluation=Evaluation(rollouts=4)
    ),
    "random_latents": replace(_TRM_MLP, start=RandomStart(damping=0.95, update_noise=0.01)),
    # The authors' commands for mazes and ARC.
    "trm_attention_n4_t3": replace(_TRM, latent_updates=4),
    "softmax_loss": replace(_TRM_MLP, loss="softmax"),
    "sprm": replace(_TRM, state_noise=0.1),
    "autoregressive": replace(_TRM, generation=Autoregressive()),
    # Positions that say in which row and column a cell is; trm says how far along one line.
    "trm_grid": replace(_TRM, mixer=_GRID),
    "hrm_grid": replace(_HRM, mixer=_GRID),
    "direct_grid": replace(_DIRECT, mixer=_GRID),
    "drm_grid": replace(_DRM, mixer=_GRID),
    "trm_grid_rotary": replace(_TRM, mixer=Attention(positions=(GridRotary(),))),
    "trm_grid_learned": replace(_TRM, mixer=Attention(positions=(Learned(),))),
    # DRM's axes: one changed field of its start, or the latent calls of the last cycle that have a
    # gradient (drm: all 4).
    "drm_annealed": replace(_DRM, start=replace(_NOISY, order="annealed")),
    "drm_constant": replace(_DRM, start=replace(_NOISY, order="constant")),
    "drm_linear": replace(_DRM, start=replace(_NOISY, schedule="linear")),
    "drm_sigmoid": replace(_DRM, start=replace(_NOISY, schedule="sigmoid")),
    "drm_uniform_tokens": replace(_DRM, start=replace(_NOISY, corruption="uniform")),
    "drm_gaussian": replace(_DRM, start=replace(_NOISY, corruption="gaussian")),
    "drm_confidence": replace(_DRM, start=replace(_NOISY, remask="confidence")),
    "drm_correlated": replace(_DRM, start=replace(_NOISY, correlated=True)),
    "drm_fresh_latents": replace(_DRM, start=replace(_NOISY, carried_latents=False)),
    "drm_votes": replace(_DRM, evaluation=Evaluation(depth=16, rollouts=8, selection=Plurality())),
    "drm_published": replace(_DRM, start=replace(_NOISY, scaled=False)),
    "drm_gradient_1": replace(_DRM, backprop=LastCalls(2)),
    "drm_gradient_2": replace(_DRM, backprop=LastCalls(3)),
    "drm_gradient_4": replace(_DRM, backprop=LastCalls(5)),
}


Variants = Named[Variant]
"""Variants by name."""


def all_variants(folder: Path) -> Variants:
    """The built-in variants and the user's own in a folder (:func:`load_variants`)."""
    own = load_variants(folder)
    return own._replace(known={**VARIANTS, **own.known})


def load_variants(folder: Path) -> Variants:
    """The user's own variants: one YAML file each, named after the variant.

    A file holds ``base:`` (a name in :data:`VARIANTS`) and ``changes:`` (fields of
    :class:`Variant`, nested as in ``start: {random: {damping: 0.9}}``; settings of a choice that
    the base has keep the others that the base has). A choice of one's own is
    named ``package.module:Class``, and is imported. A broken file stops none of the others.

    :raises ConfigurationError: the folder is a file, or is not there and not the default.
    """
    named_by = f"--own or {OWN_VARIANTS_VARIABLE}"
    files = files_of(folder, default=OWN_VARIANTS_DEFAULT, variable=named_by)
    return read_all(files, "variant", "trm variants", _load)


def _load(path: Path) -> Variant:
    require(
        path.stem not in VARIANTS,
        f"the name {path.stem!r} is taken by a built-in variant; rename the file",
    )
    found = "a folder" if path.is_dir() else "no file, or a link to none"
    require(path.is_file(), f"{found}; expected a file in YAML; rename or remove it")
    content = from_yaml(path.read_bytes())
    data = cast("Mapping[str, Any]", content if isinstance(content, dict) else {})
    require(
        set(data) == {"base", "changes"} and isinstance(data["changes"], dict),
        "expected two keys, 'base' (the name of a variant) and 'changes' (field: value)",
    )
    base = data["base"]
    require(
        isinstance(base, str) and base in VARIANTS,
        unknown_name("variant", base, VARIANTS, "expected a built-in one as base")
        if isinstance(base, str)
        else f"base {base!r}: expected the name of one built-in variant",
    )
    return from_plain(Variant, data["changes"], VARIANTS[base], importing=True)
