"""The authors' checkpoints and configurations in and out, for options that no recording here
has."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trm_model.authors import checkpoints as authors
from trm_model.authors import conformance
from trm_model.authors.checkpoints import (
    DIRECT_CLASS,
    HRM_CLASS,
    TRM_CLASS,
    infer,
    load,
    names,
    save,
    shared_name,
    size_of,
    to_ours,
    to_theirs,
    variant_of,
)
from trm_model.errors import ConfigurationError
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.batch import Batch
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.mixers.attention import Attention
from trm_model.model.reasoner import Reasoner
from trm_model.model.starts.noisy import NoisyStart
from trm_model.noise import Noise
from trm_model.training.supervision import Carry, supervise
from trm_model.variants import VARIANTS


def config(name: str = TRM_CLASS, **changes: Any) -> dict[str, Any]:
    """An authors' configuration: width 16, 9 cells."""
    base: dict[str, Any] = {
        "seq_len": 9,
        "vocab_size": 6,
        "num_puzzle_identifiers": 4,
        "hidden_size": 16,
        "num_heads": 2,
        "expansion": 4,
        "pos_encodings": "rope",
        "halt_max_steps": 4,
        "H_cycles": 2,
        "L_cycles": 3,
        "H_layers": 3 if name != TRM_CLASS else 0,
        "L_layers": 2,
        "puzzle_emb_ndim": 16,
        "class": name,
    }
    return {**base, **({"puzzle_emb_len": 2} if name == TRM_CLASS else {}), **changes}


CONFIGS = {
    "trm": config(),
    "trm without puzzle rows": config(puzzle_emb_ndim=0, puzzle_emb_len=0),
    "trm, rows wider than a position": config(puzzle_emb_ndim=40, puzzle_emb_len=0),
    "trm, token MLP": config(
        mlp_t=True, pos_encodings="none", puzzle_emb_len=5, L_layers=1, expansion=2.5
    ),
    "trm, token MLP, learned": config(mlp_t=True, pos_encodings="learned", H_cycles=1, L_cycles=1),
    "trm, learned": config(pos_encodings="learned", L_layers=3, H_cycles=4),
    "hrm": config(HRM_CLASS),
    "hrm, equal layers, no rows": config(
        HRM_CLASS, H_layers=2, puzzle_emb_ndim=0, H_cycles=3, L_cycles=1
    ),
    "hrm, token MLP, wide rows": config(HRM_CLASS, mlp_t=True, puzzle_emb_ndim=20),
    "hrm, learned": config(HRM_CLASS, pos_encodings="learned", H_layers=1),
    "direct": config(DIRECT_CLASS, H_cycles=3),
    "direct, learned, wide rows": config(DIRECT_CLASS, pos_encodings="learned", puzzle_emb_ndim=33),
    "drm": config(mask_token=5, steps=8, noise="mask, linear ratio"),
    "drm, learned, one cycle": config(mask_token=5, pos_encodings="learned", H_cycles=1),
}


def build(options: dict[str, Any], latents: int = 1, seed: int = 3) -> Reasoner:
    """Our model of a configuration with random numbers everywhere."""
    states = (
        ["inner.H_init", "inner.L_init"]
        if latents == 1
        else ["inner.H_init", *(f"inner.L{n}_init" for n in range(1, latents + 1))]
    )
    variant, size = variant_of(options, states if latents else ["inner.L_init"]), size_of(options)
    generator = torch.Generator().manual_seed(seed)
    reasoner = Reasoner(
        variant,
        size,
        vocabulary=options["vocab_size"] - ("mask_token" in options),
        length=options["seq_len"],
        num_puzzles=options["num_puzzle_identifiers"] if size.puzzle_width else 1,
        generator=generator,
    )
    reasoner.puzzle_rows.copy_(torch.randn(reasoner.puzzle_rows.shape, generator=generator))
    return reasoner


def expected_shapes(options: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Their state dict's shapes, written out from their configuration."""
    width, vocab, drm = options["hidden_size"], options["vocab_size"], "mask_token" in options
    row, direct = options["puzzle_emb_ndim"], options["class"] == DIRECT_CLASS
    prefix = options.get("puzzle_emb_len", 0) or math.ceil(row / width)
    inner = {
        w: math.ceil(round(options["expansion"] * w * 2 / 3) / 256) * 256
        for w in (width, options["seq_len"] + prefix)
    }
    core, low = ("core", "recurrent_block") if drm else ("inner", "L_level")
    shapes: dict[str, tuple[int, ...]] = {
        f"{core}.embed_tokens.embedding_weight": (vocab, width),
        f"{core}.lm_head.weight": (vocab, width),
        f"{core}.q_head.weight": (2, width),
        f"{core}.q_head.bias": (2,),
        f"{core}.{'decode' if drm else 'H'}_init": (width,),
    }
    if not direct:
        shapes[f"{core}.{'scratchpad' if drm else 'L'}_init"] = (width,)
    if drm:
        shapes["core.embed_tokens_labels.embedding_weight"] = (vocab, width)
    if row:
        shapes[f"{core}.puzzle_emb.weights"] = (options["num_puzzle_identifiers"], row)
    if options["pos_encodings"] == "learned":
        shapes[f"{core}.embed_pos.embedding_weight"] = (options["seq_len"] + prefix, width)
    levels = {low: 0 if direct else options["L_layers"], "H_level": options["H_layers"]}
    for level, layers in levels.items():
        for layer in range(layers):
            of_layer = f"{core}.{level}.layers.{layer}"
            if options.get("mlp_t"):
                across = options["seq_len"] + prefix
                shapes[f"{of_layer}.mlp_t.gate_up_proj.weight"] = (2 * inner[across], across)
                shapes[f"{of_layer}.mlp_t.down_proj.weight"] = (across, inner[across])
            else:
                shapes[f"{of_layer}.self_attn.qkv_proj.weight"] = (3 * width, width)
                shapes[f"{of_layer}.self_attn.o_proj.weight"] = (width, width)
            shapes[f"{of_layer}.mlp.gate_up_proj.weight"] = (2 * inner[width], width)
            shapes[f"{of_layer}.mlp.down_proj.weight"] = (width, inner[width])
    return shapes


def equal_states(first: Reasoner, second: Reasoner) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_state_dicts_have_their_shapes_and_come_back(name: str, tmp_path: Path) -> None:
    options = CONFIGS[name]
    ours = build(options)
    theirs = to_theirs(ours)
    assert {key: tuple(value.shape) for key, value in theirs.items()} == expected_shapes(options)
    again = build(options, seed=4)
    assert not equal_states(ours, again)
    again.load_state_dict(to_ours(theirs, ours.variant, ours.size))
    assert equal_states(ours, again)
    path = tmp_path / "step_100"
    save(ours, path)
    loaded = load(path, heads=2, length=9, variant=ours.variant, prefix=ours.size.prefix)
    assert equal_states(ours, loaded)
    assert loaded.size.prefix == ours.size.prefix
    # All that shapes can tell.
    found = infer({shared_name(key): value for key, value in theirs.items()}).variant
    assert (found.mixer, found.layers, found.answer_layers) == (
        ours.variant.mixer,
        ours.variant.layers,
        ours.variant.answer_layers,
    )
    assert (found.networks, found.latents, type(found.start)) == (
        ours.variant.networks,
        ours.variant.latents,
        type(ours.variant.start),
    )


@pytest.mark.parametrize("name", list(CONFIGS))
def test_configurations_run_and_have_the_stated_depth(name: str) -> None:
    options = CONFIGS[name]
    model = build(options)
    g = torch.Generator().manual_seed(1)
    batch = Batch(
        *(
            torch.randint(0, high, shape, generator=g)
            for high, shape in ((5, (3, 9)), (5, (3, 9)), (1, (3,)))
        )
    )
    noise = Noise(0, torch.arange(3))
    step = supervise(model, Carry.fresh(model, batch, noise), max_steps=4, noise=noise)
    step.losses.total.backward()
    assert step.output.logits.shape == (3, 9, 6)
    cycles, updates = options["H_cycles"], options["L_cycles"]
    answer = options["H_layers"] or options["L_layers"]
    depth = (
        options["H_layers"]
        if options["class"] == DIRECT_CLASS
        else cycles * (updates * options["L_layers"] + answer)
    )
    assert model.variant.depth == depth
    one_cycle = cycles == 1 and model.answer_tokens is not None
    # A DRM with one cycle, and no other, sends a gradient to the table of corrupted answers.
    assert (model.answer_tokens is not None and model.answer_tokens.grad is not None) == one_cycle


@pytest.mark.parametrize("latents", [0, 4])
def test_features_are_told_by_the_initial_vectors(latents: int) -> None:
    model = build(config(L_cycles=6), latents)
    theirs = to_theirs(model)
    assert ("inner.H_init" in theirs, "inner.L_init" in theirs) == (
        (False, True) if latents == 0 else (True, False)
    )
    assert (
        infer(theirs).variant.latents
        == latents
        == variant_of(config(L_cycles=6), list(theirs)).latents
    )


@settings(max_examples=30, deadline=None)
@given(
    width=st.sampled_from([8, 16, 24]),
    row=st.integers(1, 70),
    cells=st.integers(1, 9),
    spare=st.integers(0, 2),
    learned=st.booleans(),
)
def test_the_question_is_rows_then_tokens(
    width: int, row: int, cells: int, spare: int, learned: bool
) -> None:
    """Written out position by position: row padded with zeros, tokens, learned positions, scale."""
    needed = -(-row // width)
    options = config(
        hidden_size=width,
        puzzle_emb_ndim=row,
        puzzle_emb_len=needed + spare,
        seq_len=cells,
        num_heads=2,
        pos_encodings="learned" if learned else "rope",
    )
    model = build(options)
    tokens, rows = torch.arange(cells)[None] % 6, model.puzzle_rows[2:3]
    flat = torch.cat(
        (
            rows[0],
            torch.zeros((needed + spare) * width - row),
            model.tokens.detach()[tokens[0]].flatten(),
        )
    )
    expected = flat.view(-1, width)
    if model.positions is not None:
        expected = (expected + model.positions.detach()) / math.sqrt(2)
    torch.testing.assert_close(model.embed(tokens, rows)[0].detach(), expected * math.sqrt(width))


def test_published_checkpoints_load(tmp_path: Path) -> None:
    """Prefixes, bfloat16 initial vectors, and the sizes of the paper's maze model: 16 leading
    positions."""
    options = config(
        hidden_size=64, num_heads=8, puzzle_emb_ndim=64, puzzle_emb_len=16, H_cycles=3, L_cycles=4
    )
    theirs = to_theirs(build(options))
    path = tmp_path / "step_5"
    for prefix in ("_orig_mod.model.", "model.", ""):
        published = {
            prefix + key: value.bfloat16() if key.endswith("_init") else value
            for key, value in theirs.items()
        }
        torch.save(published, path)
        model = load(path, heads=8, length=9, variant=variant_of(options, theirs))
        assert (model.size.prefix, model.dtype) == (16, torch.bfloat16)
        save(model, tmp_path / "again", prefix=prefix)
        again = torch.load(tmp_path / "again", weights_only=True)
        assert {key: value.dtype for key, value in again.items()} == {
            key: value.dtype for key, value in published.items()
        }
        assert all(torch.equal(again[key], published[key]) for key in published)
    assert load(path, heads=8, length=9).variant == VARIANTS["trm"]
    torch.save({"model": theirs, "step": 3}, path)
    assert load(path, heads=8, length=9, precision="bfloat16").dtype == torch.bfloat16


def test_legacy_and_present_drm_names_are_one(tmp_path: Path) -> None:
    model = build(CONFIGS["drm"])
    theirs = to_theirs(model)
    assert "core.recurrent_block.layers.0.mlp.down_proj.weight" in theirs
    legacy = {f"_orig_mod.model.{shared_name(key)}": value for key, value in theirs.items()}
    assert "_orig_mod.model.inner.L_level.layers.0.mlp.down_proj.weight" in legacy
    torch.save(legacy, tmp_path / "legacy")
    loaded = load(tmp_path / "legacy", heads=2, length=9, variant=model.variant, prefix=2)
    assert equal_states(loaded, model)
    assert isinstance(
        load(tmp_path / "legacy", heads=2, length=9, prefix=2).variant.start, NoisyStart
    )


def test_a_puzzle_table_of_another_size(tmp_path: Path) -> None:
    model, path = build(CONFIGS["trm"]), tmp_path / "step_1"
    save(model, path)
    with pytest.raises(
        ConfigurationError, match=r"step_1: puzzle table of 4 rows, expected 7; resize=True"
    ):
        load(path, heads=2, length=9, prefix=2, num_puzzles=7)
    resized = load(path, heads=2, length=9, prefix=2, num_puzzles=7, resize=True)
    torch.testing.assert_close(
        resized.puzzle_rows, model.puzzle_rows.mean(0, keepdim=True).expand(7, -1)
    )


class Malicious:
    """Pickled, it would write a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path, touched = tmp_path / "step_1", tmp_path / "touched"
    theirs = to_theirs(build(CONFIGS["trm"]))
    for content, message in (
        (Malicious(touched), "not a plain state dict"),
        ({**theirs, "x": Malicious(touched)}, "not a plain state dict"),
        ([1, 2], "list found, expected a state dict"),
        ({"a": 1}, "expected a state dict"),
        ({"weight": torch.zeros(2)}, "no state dict of TRM, HRM or DRM"),
        ({**theirs, "inner.more": torch.zeros(2)}, r"1 unknown \(inner.more\)"),
        (
            {key: value for key, value in theirs.items() if "q_head" not in key},
            r"missing \(inner.q_head.bias",
        ),
        ({**theirs, "inner.lm_head.weight": torch.zeros(6, 5)}, "has the shape"),
        (
            {**theirs, "inner.lm_head.weight": torch.full((6, 5), torch.inf)},
            "inner.lm_head.weight: 30 of 30 numbers are NaN or infinite",
        ),
    ):
        torch.save(content, path)
        with pytest.raises(ConfigurationError, match=message) as error:
            load(path, heads=2, length=9, prefix=2)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)
    assert not touched.exists()
    for junk in (b"", b"no archive", b"PK\x03\x04junk"):
        path.write_bytes(junk)
        with pytest.raises(ConfigurationError, match="not a plain state dict"):
            load(path, heads=2, length=9)
    token_mlp = tmp_path / "mlp"
    save(build(CONFIGS["trm, token MLP"]), token_mlp)
    with pytest.raises(ConfigurationError, match="the weights are for 14 positions"):
        load(token_mlp, heads=2, length=9, prefix=2)


def test_weights_that_are_not_finite_are_not_exported(tmp_path: Path) -> None:
    model = build(CONFIGS["trm"])
    with torch.no_grad():
        model.halt_bias[0] = torch.nan
    with pytest.raises(ConfigurationError, match="1 of 2 numbers are NaN or infinite"):
        save(model, tmp_path / "step_1")
    assert not list(tmp_path.iterdir())


def test_what_their_code_does_not_have_is_refused() -> None:
    for name in (
        "mixture_of_experts",
        "tied_embeddings",
        "winner_takes_all",
        "depth_curriculum",
        "fixed_point",
    ):
        with pytest.raises(ConfigurationError, match="the authors' code has no such model"):
            names(VARIANTS[name], size_of(CONFIGS["trm"]))
    size = size_of(CONFIGS["trm"])
    for variant, of_size in (
        (replace(VARIANTS["trm"], mixer=Attention(output_norm=True)), size),
        (VARIANTS["trm"], replace(size, registers=1)),
    ):
        with pytest.raises(ConfigurationError, match="the authors' code has no such model"):
            names(variant, of_size)
    for changes, message in (
        ({"class": "Other"}, "model class 'Other'"),
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"rope_theta": 500.0}, "rope_theta=500.0"),
        ({"mask_token": 5, "noise": "swap"}, "noise='swap'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            variant_of({**config(), **changes}, [])


def test_configurations_mean_what_they_say() -> None:
    base = config()
    del base["puzzle_emb_len"]
    assert size_of(base).prefix == authors.DEFAULT_PREFIX
    assert size_of(config(HRM_CLASS, puzzle_emb_ndim=33)).prefix == 3
    hrm = variant_of(config(HRM_CLASS), ["inner.H_init", "inner.L_init"])
    assert (hrm.backprop, hrm.halting, hrm.answer_layers) == (LastCalls(2), QLearning(), 3)
    assert (
        variant_of(config(no_ACT_continue=False), ["inner.H_init", "inner.L_init"]).halting
        == QLearning()
    )
    assert variant_of(config(loss="softmax_cross_entropy"), []).loss == "softmax"
    assert conformance.size_of is size_of
