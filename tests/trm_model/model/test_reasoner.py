"""A model's weights, what it reads and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from storage.examples import Examples, Header
from tests.trm_model.evaluation.tries import tries_of
from trm_model.errors import ConfigurationError
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.layers import rms_norm, truncated_normal
from trm_model.model.layout import Layout
from trm_model.model.mixers.attention import Attention, SelfAttention, rotary_table, rotate
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.rope import Rotary
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.selections.halting_logit import HaltingLogit
from trm_model.model.selections.plurality import Plurality
from trm_model.model.size import Size
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.noise import Noise, torch_generator

SIZE = Size(width=16, heads=2, prefix=2, puzzle_width=20)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make(variant: Variant | None = None, size: Size = SIZE, **changes: Any) -> Reasoner:
    given: dict[str, Any] = {"vocabulary": 5, "length": 4, "num_puzzles": 3, **changes}
    return Reasoner(variant or Variant(), size, generator=generator(), **given)


@pytest.mark.parametrize(("name", "least"), [("vocabulary", 2), ("length", 1), ("num_puzzles", 1)])
def test_least_sizes(name: str, least: int) -> None:
    allowed, refused = dict[str, Any](), dict[str, Any]()
    allowed[name], refused[name] = least, least - 1
    assert make(**allowed).num_parameters > 0
    with pytest.raises(ConfigurationError, match="expected at least"):
        make(**refused)


def test_weights_are_drawn_in_this_order() -> None:
    """What a seed means: tokens, positions, blocks of the networks, head, fixed vectors, table of
    answers."""
    variant = Variant(
        mixer=Attention(positions=(Learned(),)),
        networks="separate",
        layers=1,
        answer_layers=2,
        latents=2,
        start=NoisyStart(),
    )
    model, g = make(variant), generator()
    std = 16**-0.5
    assert torch.equal(model.tokens, truncated_normal((6, 16), std, g))
    assert torch.equal(model.positions, truncated_normal((6, 16), std, g))  # type: ignore[arg-type]
    for network, layers in zip(model.networks, (1, 2), strict=True):
        assert len(network) == layers  # type: ignore[arg-type]
        for block in network:  # type: ignore[union-attr]
            shapes = {name: tuple(p.shape) for name, p in block.named_parameters()}
            assert shapes == {
                "mixer.qkv": (48, 16),
                "mixer.out": (16, 16),
                "channels.gate_up": (512, 16),
                "channels.down": (16, 256),
            }
            for parameter in block.parameters():
                rows, columns = parameter.shape
                drawn = truncated_normal((rows, columns), columns**-0.5, g)
                assert torch.equal(parameter, drawn)
    assert torch.equal(model.head, truncated_normal((6, 16), std, g))  # type: ignore[arg-type]
    assert torch.equal(model.answer_start, truncated_normal((16,), 1.0, g))
    assert torch.equal(model.latent_starts, truncated_normal((2, 16), 1.0, g))
    assert torch.equal(model.answer_tokens, truncated_normal((6, 16), std, g))  # type: ignore[arg-type]
    assert model.halt_weight.eq(0).all()
    assert model.halt_bias.tolist() == [-5.0, -5.0]
    assert model.puzzle_rows.shape == (3, 20)
    assert model.puzzle_rows.eq(0).all()
    trained = sum(p.numel() for p in model.parameters())
    assert model.num_parameters == trained + 60


def test_registers_are_fixed_vectors_drawn_after_all_weights() -> None:
    size = Size(width=16, heads=2, prefix=5, puzzle_width=20)
    plain, model = make(size=size), make(size=replace(size, registers=3))
    state = model.state_dict()
    registers = state.pop("registers")
    assert registers.shape == (3, 16)
    assert "registers" not in plain.state_dict()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, state.pop(name))
    assert not state
    assert "registers" not in dict(model.named_parameters())
    assert len(registers.unique(dim=0)) == 3
    again = make(size=replace(size, registers=3)).state_dict()["registers"]
    assert torch.equal(again, registers)
    rows = torch.randn(2, 20, generator=generator())
    inputs = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]])
    with torch.no_grad():
        found, without = model.embed(inputs, rows), plain.embed(inputs, rows)
    torch.testing.assert_close(found[:, 2:5], (4.0 * registers).expand(2, -1, -1))
    assert torch.equal(found[:, :2], without[:, :2])
    assert torch.equal(found[:, 5:], without[:, 5:])
    assert without[:, 2:5].eq(0).all()


def test_two_networks_have_equal_depths_unless_told_otherwise() -> None:
    model = make(Variant(networks="separate", layers=3))
    assert [len(network) for network in model.networks] == [3, 3]  # type: ignore[arg-type]
    assert len(make().networks) == 1


def test_what_is_read_of_a_state() -> None:
    """Cells after the prefix by the head; the halting head reads the first position, or each
    cell."""
    answer = torch.randn(3, 6, 16, generator=generator())
    for generation, shape in ((None, (3,)), (Autoregressive(), (3, 4))):
        variant = Variant(mixer=Attention())
        model = make(variant if generation is None else replace(variant, generation=generation))
        with torch.no_grad():
            model.halt_weight.normal_(generator=generator())
            model.halt_bias.copy_(torch.tensor([1.0, 2.0]))
            found = model.read(State(answer, ()))
            assert model.head is not None
            torch.testing.assert_close(found.logits, answer[:, 2:] @ model.head.T)
            judged = answer[:, 0] if generation is None else answer[:, 2:]
            heads = judged @ model.halt_weight.T
        torch.testing.assert_close(found.halt_logits, heads[..., 0] + 1.0)
        torch.testing.assert_close(found.continue_logits, heads[..., 1] + 2.0)
        assert found.halt_logits.shape == shape
        if generation is not None:
            part = model.read(State(answer[:, 3:], ()), 0)
            torch.testing.assert_close(part.logits, found.logits[:, 1:])


def test_answers_are_read_with_the_embedding_where_tied() -> None:
    model = make(Variant(tied=True))
    answer = torch.randn(1, 6, 16, generator=generator())
    torch.testing.assert_close(model.read(State(answer, ())).logits, answer[:, 2:] @ model.tokens.T)


def test_each_cell_reads_the_answer_before_it() -> None:
    model = make(Variant(mixer=Attention(), generation=Autoregressive()))
    inputs, answers = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[4, 0, 2, 1]])
    rows = torch.zeros(1, 20)
    assert model.answer_tokens is not None
    with torch.no_grad():
        found = model.embed(inputs, rows, answers)[0, 2:]
        plain = model.embed(inputs, rows)[0, 2:]
        read = 4.0 * model.answer_tokens[torch.tensor([4, 0, 2])]
    torch.testing.assert_close(found[0], plain[0])
    torch.testing.assert_close(found[1:], plain[1:] + read)
    with pytest.raises(RuntimeError, match="has no table that embeds them"):
        make().embed_answer(inputs, rows)


def test_attention_may_have_norms_of_its_own() -> None:
    """Queries and keys before they are turned; what is gathered before the output matrix."""

    def normed(x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    x = torch.randn(2, 5, 16, generator=generator())

    def module(*, norms: bool) -> SelfAttention:
        return SelfAttention(
            SIZE,
            Layout(0, 5),
            generator(),
            positions=(Rotary(),),
            causal=False,
            query_norm=norms,
            output_norm=norms,
        )

    plain, both = module(norms=False), module(norms=True)
    assert {name: tuple(p.shape) for name, p in both.named_parameters()} == {
        name: tuple(p.shape) for name, p in plain.named_parameters()
    }
    assert plain.rotary is not None
    with torch.no_grad():
        query, key, value = (x @ plain.qkv.T).view(2, 5, 3, 2, 8).permute(2, 0, 3, 1, 4)
        query, key = (rotate(normed(each), plain.rotary) for each in (query, key))
        gathered = (query @ key.mT / 8**0.5).softmax(-1) @ value
        expected = normed(gathered.transpose(1, 2).reshape(2, 5, 16)) @ plain.out.T
        torch.testing.assert_close(both(x), expected, rtol=1e-4, atol=1e-5)
        # Without a gradient plain attention has a kernel.
        mixed = Attention(query_norm=True, output_norm=True).mix(both, x, None)
        torch.testing.assert_close(mixed, rms_norm(x + expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rope", [False, True])
def test_attention_as_written_out(*, rope: bool, causal: bool) -> None:
    positions = (Rotary(),) if rope else ()
    module = SelfAttention(SIZE, Layout(0, 5), generator(), positions=positions, causal=causal)
    x = torch.randn(2, 5, 16, generator=generator())
    with torch.no_grad():
        found = module(x)
        joined = x @ module.qkv.T
        expected = torch.zeros(2, 5, 16)
        for head in range(2):
            here = slice(8 * head, 8 * head + 8)
            query, key, value = (joined[..., 16 * i : 16 * i + 16][..., here] for i in range(3))
            if rope:
                table = rotary_table(Rotary().angles(Layout(0, 5), 8))
                query, key = rotate(query[:, None], table)[:, 0], rotate(key[:, None], table)[:, 0]
            scores = query @ key.mT / 8**0.5
            if causal:
                scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
            expected[..., here] = scores.softmax(-1) @ value
        expected = expected @ module.out.T
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_seed_makes_the_weights() -> None:
    header = Header(vocabulary=("pad", "a", "b"), grid=(2, 2), num_puzzle_ids=7)
    model = build(Variant(), SIZE, header, 3)
    again = Reasoner(
        Variant(),
        SIZE,
        vocabulary=3,
        length=4,
        num_puzzles=7,
        generator=torch_generator(3, "weights"),
    )
    for name, weight in again.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    assert model.dtype is torch.float32
    assert model.grid == (2, 2)
    assert (
        build(Variant(), SIZE, header, 3, "bfloat16").start(Noise(0, torch.arange(2))).answer.dtype
        is torch.bfloat16
    )


@pytest.mark.parametrize("stored", [True, False])
def test_batches_on_a_device(*, stored: bool) -> None:
    """Labels with the token that is not counted become IGNORE; puzzles have several examples."""
    cells = np.arange(10, dtype=np.uint8).reshape(5, 2) % 4
    examples = Examples(
        Header(vocabulary=("pad", "a", "b", "c"), grid=(1, 2), ignore_id=2, num_puzzle_ids=9),
        cells,
        cells[::-1].copy(),
        np.array([8, 3, 5], np.int32),
        np.array([0, 2, 3, 5]),
        np.array([0, 3]),
    )

    class Computed:
        header, puzzle_ids = examples.header, examples.puzzle_ids
        example_offsets, group_offsets = examples.example_offsets, examples.group_offsets
        rows = examples.rows

    data = DeviceExamples(examples if stored else Computed(), torch.device("cpu"))
    assert len(data) == 5
    found = data.gather(np.array([4, 0, 1, 2, 3]))
    assert found.inputs.tolist() == cells[[4, 0, 1, 2, 3]].tolist()
    expected = cells[::-1][[4, 0, 1, 2, 3]].astype(int)
    assert found.labels.tolist() == np.where(expected == 2, IGNORE, expected).tolist()
    assert found.puzzle_ids.tolist() == [5, 8, 8, 3, 5]
    assert {t.dtype for t in (found.inputs, found.labels, found.puzzle_ids)} == {torch.int64}


def test_batches_are_mixed_and_repeated() -> None:
    one, two = (
        Batch(torch.full((2, 3), n), torch.full((2, 3), 10 + n), torch.full((2,), 20 + n))
        for n in (1, 2)
    )
    mixed = one.where(torch.tensor([True, False]), two)
    assert mixed.inputs[:, 0].tolist() == [1, 2]
    assert mixed.labels[:, 0].tolist() == [11, 12]
    assert mixed.puzzle_ids.tolist() == [21, 22]
    wide = mixed.repeat(2)
    assert wide.inputs[:, 0].tolist() == [1, 2, 1, 2]
    assert wide.labels.shape == (4, 3)
    assert wide.puzzle_ids.tolist() == [21, 22, 21, 22]


def test_selections() -> None:
    predictions = torch.tensor([[[1, 2]], [[3, 2]], [[3, 1]]])
    logits = torch.tensor([[0.5], [-1.0], [0.25]])
    tries = tries_of(predictions, logits, torch.tensor([[7.0], [8.0], [9.0]]))
    chosen = HaltingLogit().select(tries)
    assert [each.tolist() for each in chosen] == [[[1, 2]], [0.5], [7.0]]
    chosen = Plurality().select(tries)
    assert chosen.prediction.tolist() == [[3, 2]]
    assert chosen.halt_logits.item() == pytest.approx(-0.25 / 3)
    assert chosen.continue_logits.item() == pytest.approx(8.0)
