"""Cell by cell: causality, kept keys and values, halting per token, training, evaluation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trm_model.model.plain_generation import plain_generation
from tests.trm_model.training.recipes import TINY
from trm_model.authors.checkpoints import save
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.short_convolution import ShortConvolution
from trm_model.model.generations import autoregressive
from trm_model.model.generations.autoregressive import Autoregressive, generate
from trm_model.model.haltings.none import AllSteps
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.mixers.attention import Attention
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.none import NoPosition
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.size import Size
from trm_model.model.solvers.anderson import Anderson
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.starts.random import RandomStart
from trm_model.model.state import Output, State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.puzzles.sequence import AdditionExamples
from trm_model.puzzles.sequence import generate as generate_pairs
from trm_model.training.execution import Execution
from trm_model.training.losses import losses
from trm_model.training.supervision import Carry, supervise
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

BASE = VARIANTS["autoregressive"]
SHALLOW = replace(BASE, cycles=2, latent_updates=2)
NOISE = Noise(0, torch.arange(4))
LENGTH, VOCABULARY, STEPS = 7, 6, 3


def model(variant: Variant = SHALLOW, prefix: int = 2) -> Reasoner:
    """Random weights throughout."""
    generator = torch.Generator().manual_seed(1)
    size = Size(width=16, heads=2, prefix=prefix, puzzle_width=12 * prefix)
    made = Reasoner(
        variant, size, vocabulary=VOCABULARY, length=LENGTH, num_puzzles=1, generator=generator
    )
    made.puzzle_rows.normal_(generator=generator)
    with torch.no_grad():
        made.halt_weight.normal_(generator=generator)
        made.halt_bias.zero_()
    return made


def batch(first: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(2)
    inputs, labels = (
        torch.randint(1, VOCABULARY, (4, LENGTH), generator=generator) for _ in range(2)
    )
    labels[:, :first] = IGNORE
    return Batch(inputs, labels, torch.zeros(4, dtype=torch.int64))


def parallel(
    reasoner: Reasoner, examples: Batch, answers: Tensor, steps: int = STEPS
) -> list[Output]:
    """All positions at once, given the answers: as in training."""
    rows, state, outputs = reasoner.puzzle_rows[examples.puzzle_ids], reasoner.start(NOISE), []
    with torch.no_grad():
        for _ in range(steps):
            outputs.append(reasoner(examples.inputs, rows, state, NOISE, answers=answers))
            state = outputs[-1].state
    return outputs


@pytest.mark.parametrize("cell", range(LENGTH))
def test_nothing_later_changes_anything_earlier(cell: int) -> None:
    reasoner, examples = model(), batch()
    inputs, answers = (
        examples.inputs.clone(),
        torch.randint(0, VOCABULARY, (4, LENGTH), generator=torch.Generator().manual_seed(3)),
    )
    other = answers.clone()
    inputs[:, cell:] = inputs[:, cell:] % (VOCABULARY - 1) + 1
    other[:, cell:] = (other[:, cell:] + 1) % VOCABULARY
    one = parallel(reasoner, examples, answers)
    two = parallel(reasoner, replace(examples, inputs=inputs), other)
    for before, after in zip(one, two, strict=True):
        torch.testing.assert_close(before.logits[:, :cell], after.logits[:, :cell], rtol=0, atol=0)
        torch.testing.assert_close(
            before.halt_logits[:, :cell], after.halt_logits[:, :cell], rtol=0, atol=0
        )
        assert (before.logits[:, cell:] != after.logits[:, cell:]).any(-1).all()


@pytest.mark.parametrize(
    ("changes", "prefix", "first"),
    [
        ({}, 2, 3),
        ({}, 0, 0),
        ({}, 0, 1),
        ({"mixer": Attention(positions=(Learned(),))}, 2, 3),
        ({"mixer": Attention(positions=(NoPosition(),)), "latents": 2}, 2, 0),
        ({"latents": 0, "networks": "separate", "answer_layers": 3, "layers": 1}, 1, 6),
        ({"deep_supervision": False, "halting": AllSteps()}, 1, 2),
    ],
)
def test_kept_keys_and_values_give_what_computing_all_anew_gives(
    changes: dict[str, Any], prefix: int, first: int
) -> None:
    """After every step, of every cell; the state too. Anew: the whole recursion over all positions,
    under training's causal mask."""
    reasoner, examples = model(replace(SHALLOW, **changes), prefix), batch(first)
    outputs = generate(reasoner, examples, STEPS, NOISE)
    answers = outputs[-1].logits.argmax(-1).masked_fill(examples.labels == IGNORE, 0)
    for cached, anew in zip(outputs, parallel(reasoner, examples, answers), strict=True):
        torch.testing.assert_close(cached.logits, anew.logits, rtol=1e-4, atol=2e-4)
        torch.testing.assert_close(cached.halt_logits, anew.halt_logits, rtol=1e-4, atol=2e-4)
        for one, two in zip(
            (cached.state.answer, *cached.state.latents),
            (anew.state.answer, *anew.state.latents),
            strict=True,
        ):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("halting", [False, True])
@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("changes", [{}, {"networks": "separate", "answer_layers": 1}])
def test_generation_as_written_out(halting: bool, final: bool, changes: dict[str, Any]) -> None:
    """Cells of one batch halt at steps of their own, and all of them before the last step
    somewhere."""
    reasoner, examples = model(replace(SHALLOW, **changes)), batch()
    wants = torch.cat(
        [
            output.halt_logits[:, 3:]
            for output in generate(reasoner, examples, STEPS, NOISE, final=final)
        ]
    )
    with torch.no_grad():
        reasoner.halt_bias.sub_(wants.quantile(0.25))
    outputs = generate(reasoner, examples, STEPS, NOISE, halting=halting, final=final)
    steps: list[list[int]] = []
    for number in range(4):
        logits, taken = plain_generation(
            reasoner,
            examples.inputs[number].tolist(),
            (examples.labels[number] != IGNORE).tolist(),
            STEPS,
            halting=halting,
            final=final,
        )
        steps.append(taken)
        torch.testing.assert_close(outputs[-1].logits[number], logits, rtol=1e-3, atol=1e-3)
    counted = np.array(steps)[:, 3:]
    if halting:
        assert (counted.max(axis=0) < STEPS).any()
        assert (counted.min(axis=0) < counted.max(axis=0)).any()
    else:
        assert (counted == STEPS).all()


def test_keeping_the_last_cycle_alone_is_another_model() -> None:
    reasoner, examples = model(), batch()
    exact, approximate = (
        generate(reasoner, examples, STEPS, NOISE, final=final)[-1].logits
        for final in (False, True)
    )
    assert (exact[:, 4:] - approximate[:, 4:]).abs().max() > 0.01


def test_labels_tell_where_to_answer_and_nothing_else() -> None:
    reasoner, examples = model(), batch()
    other = replace(examples, labels=examples.labels.where(examples.labels == IGNORE, 1))
    torch.testing.assert_close(
        *(generate(reasoner, each, 2, NOISE)[-1].logits for each in (examples, other)),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mixer": TokenMlp()},
            "a token MLP mixes later cells into earlier ones; use mixer=Attention",
        ),
        ({"feed_forward": ShortConvolution()}, "a convolution needs earlier cells' activations"),
        ({"solver": Anderson()}, "its weights depend on all cells"),
        (
            {"start": RandomStart()},
            r"RandomStart with generation=Autoregressive\(\): noise and the choice of starts",
        ),
        (
            {"start": NoisyStart()},
            r"NoisyStart with generation=Autoregressive\(\): noise and the choice of starts",
        ),
        ({"halting": QLearning()}, "no value of going on for single cells"),
        (
            {"generation": "backwards"},
            "generation='backwards': expected one of autoregressive, parallel",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(BASE, **changes)


def test_the_authors_format_has_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"generation=Autoregressive\(\): the authors' code has no such model",
    ):
        save(model(), tmp_path / "weights")


def test_the_halting_head_judges_cells() -> None:
    labels = torch.tensor([[IGNORE, 1, 2], [IGNORE, 1, 2]])
    logits = torch.nn.functional.one_hot(torch.tensor([[3, 1, 3], [3, 1, 2]]), 4).float()
    halt = torch.tensor([[9.0, 2.0, -1.0], [-9.0, 3.0, 4.0]])
    found = losses(Output(logits, halt, halt, State(logits, ())), labels, BASE).halt
    expected = [
        (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2,
        (np.log1p(np.exp(-3.0)) + np.log1p(np.exp(-4.0))) / 2,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_example_halts_when_all_its_cells_would() -> None:
    reasoner, examples = model(), batch()
    halted = []
    for bias in (-1.0, 0.0, 0.5, 1.0, 2.0, 30.0):
        with torch.no_grad():
            reasoner.halt_bias.fill_(bias)
        result = supervise(
            reasoner, Carry.fresh(reasoner, examples, NOISE), max_steps=16, noise=NOISE
        )
        assert torch.equal(result.carry.halted, (result.output.halt_logits[:, 3:] > 0).all(-1))
        halted.append(int(result.carry.halted.sum()))
    assert (halted[0], halted[-1]) == (0, 4)


def sums(count: int, seed: int = 0) -> AdditionExamples:
    return AdditionExamples(generate_pairs(count, 1, seed), 1, 1, 0)


def test_training_learns_sums_and_generation_answers_them() -> None:
    size = Size(width=32, heads=2, prefix=1, puzzle_width=32)
    recipe = replace(
        TINY,
        size=size,
        steps=600,
        batch_size=32,
        learning_rate=2e-3,
        warmup_steps=100,
        ema_decay=0.95,
        max_steps=2,
    )
    # After 300 steps rounding alone decides between 56 and 90 %. The stable loss takes several
    # times as many (docs/autoregressive.md).
    examples, variant = sums(40), replace(SHALLOW, loss="softmax")
    trainer, totals = Trainer(variant, recipe, examples, 0, Execution(log_steps=50)), list[Tensor]()
    trainer.run(lambda _, ended: totals.append(ended) is None if ended is not None else True)
    losses_per_example = [float(row[1] / row[0]) for row in totals]
    assert losses_per_example[-1] < 0.3 * losses_per_example[0]
    assert trainer.ema is not None
    trained = build(variant, recipe.size, examples.header, 0)
    trained.load_state_dict({**trainer.reasoner.state_dict(), **trainer.ema.average})
    result = evaluate(
        trained, DeviceExamples(examples, torch.device("cpu")), max_steps=2, batch_size=50
    )
    # Fed with its own answers it does as well as when it was fed with the right ones.
    assert result.solved[:, -1].mean() > 0.8
    assert (result.labelled_cells == 2).all()


def test_evaluation_bounds_the_cache_and_does_not_depend_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples = sums(10)
    reasoner = build(SHALLOW, TINY.size, examples.header, 0)
    data = DeviceExamples(examples, torch.device("cpu"))
    whole = evaluate(reasoner, data, max_steps=2, batch_size=64)
    # 2 (keys, values) x 2 steps x 12 layers x 8 positions x 16 channels x 4 bytes
    monkeypatch.setattr(autoregressive, "CACHE_BYTES", 3 * 2 * 2 * 12 * 8 * 16 * 4 + 1)
    assert Autoregressive().most_examples(reasoner, 2, 64, Evaluation()) == 3
    assert Autoregressive().most_examples(reasoner, 2, 1, Evaluation()) == 1
    sizes: list[int] = []
    inner = autoregressive.generate
    monkeypatch.setattr(
        autoregressive,
        "generate",
        lambda model, batch, *rest, **named: (
            sizes.append(len(batch.inputs)),
            inner(model, batch, *rest, **named),
        )[1],
    )
    parts = evaluate(reasoner, data, max_steps=2, batch_size=64)
    assert sizes == [3] * 6 + [2]
    np.testing.assert_array_equal(whole.predictions, parts.predictions)
    np.testing.assert_allclose(whole.halt_logits, parts.halt_logits, rtol=1e-4, atol=1e-5)


def test_a_direct_model_too_can_answer_cell_by_cell() -> None:
    variant = replace(VARIANTS["direct"], generation=Autoregressive(), layers=2)
    reasoner, examples = model(variant), batch()
    (output,) = generate(reasoner, examples, 1, NOISE)
    answers = output.logits.argmax(-1).masked_fill(examples.labels == IGNORE, 0)
    torch.testing.assert_close(
        output.logits, parallel(reasoner, examples, answers, 1)[0].logits, rtol=1e-4, atol=1e-4
    )


def test_gradients_reach_the_embedding_of_answers() -> None:
    reasoner = model(replace(SHALLOW, backprop=LastCalls(1)))
    supervise(
        reasoner, Carry.fresh(reasoner, batch(), NOISE), max_steps=4, noise=NOISE
    ).losses.total.backward()
    assert reasoner.answer_tokens is not None
    # The last call reads y + z; with one graded call nothing of the question has a gradient.
    assert reasoner.answer_tokens.grad is None
    reasoner = model()
    supervise(
        reasoner, Carry.fresh(reasoner, batch(), NOISE), max_steps=4, noise=NOISE
    ).losses.total.backward()
    assert reasoner.answer_tokens is not None
    assert reasoner.answer_tokens.grad is not None
    # Of the answers 0 is what an uncounted cell hands on; the last cell's answer is read by nobody.
    read = batch().labels[:, :-1].clamp(min=0).unique()
    assert reasoner.answer_tokens.grad.abs().sum(-1).nonzero().squeeze(-1).tolist() == read.tolist()
