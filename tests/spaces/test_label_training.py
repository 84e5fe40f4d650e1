"""Settings of a training on a label: what they do, and where they are searched."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from problems import Pairs, Problem, Size, Target, load_problem
from problems.contract.evidence import RandomChoice
from search.trial.temperature import scale_by_temperature
from spaces.candidate import Training
from spaces.output_layer import scale_outputs
from spaces.registered import ARCHITECTURES
from spaces.space import choose_candidate
from spaces.training_targets import ClassificationLearner, ProbabilityOutput

PLAIN = Training(learning_rate=1e-3, batch_size=16, weight_decay=0.0)
N = 60

OF_LABELS = {"label_smoothing": 0.1, "class_weights": True, "dropout": 0.1, "temperature": True}
"""Settings of a training on a label, switched on."""


def pairs(classes: int) -> tuple[Tensor, Tensor]:
    """Return inputs (n, 3) and targets of which the first class is rare."""
    generator = torch.Generator().manual_seed(0)
    number = torch.arange(N) % (8 * max(classes, 2)) % (2 * max(classes, 2) - 1)
    number = number.clamp(max=max(classes, 2) - 1)
    targets = nn.functional.one_hot(number, max(classes, 2)).float()
    inputs = torch.randn(N, 3, generator=generator)
    return inputs, targets[:, 1:] if classes == 1 else targets


def learner(classes: int, targets: Tensor, **settings: float | bool) -> ClassificationLearner:
    torch.manual_seed(0)
    made = ClassificationLearner(ProbabilityOutput(nn.Linear(3, classes), classes))
    made.configure(PLAIN.model_copy(update=settings), targets)
    return made


def losses(classes: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the plain loss of each pair (n,), and the number of its class (n,)."""
    plain = learner(classes, targets)
    each = [plain.loss(x[None], t[None]) for x, t in zip(inputs, targets, strict=True)]
    number = targets[:, 0] if classes == 1 else targets.argmax(dim=1)
    return torch.stack(each), number.long()


@pytest.mark.parametrize("classes", [1, 3])
def test_weighed_classes_count_alike(classes: int) -> None:
    inputs, targets = pairs(classes)
    each, number = losses(classes, inputs, targets)
    means = [each[number == c].mean() for c in number.unique()]
    weighed = learner(classes, targets, class_weights=True).loss(inputs, targets)
    torch.testing.assert_close(weighed, torch.stack(means).mean())
    torch.testing.assert_close(learner(classes, targets).loss(inputs, targets), each.mean())


@pytest.mark.parametrize("classes", [1, 3])
def test_smoothing_mixes_the_label_with_all_classes_alike(classes: int) -> None:
    inputs, targets = pairs(classes)
    smooth = 0.9 * targets + 0.1 / max(classes, 2)
    smoothed = learner(classes, targets, label_smoothing=0.1).loss(inputs, targets)
    torch.testing.assert_close(smoothed, learner(classes, targets).loss(inputs, smooth))


def test_a_class_that_training_lacks_does_no_harm() -> None:
    inputs, targets = pairs(1)
    alone = torch.ones_like(targets)
    assert torch.isfinite(learner(1, alone, class_weights=True).loss(inputs, alone))


def test_settings_that_are_off_leave_keys_as_they_were() -> None:
    assert not OF_LABELS.keys() & set(PLAIN.model_dump())
    on = PLAIN.model_copy(update=OF_LABELS)
    assert on.model_dump().items() >= OF_LABELS.items()
    assert Training.model_validate_json(on.model_dump_json()) == on


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("factor", [0.3, 4.0])
def test_the_temperature_makes_probabilities_those_of_the_labels(
    classes: int, factor: float
) -> None:
    """Labels are drawn by a network's probabilities; one with other logits is scaled back."""
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    network = ProbabilityOutput(nn.Linear(3, classes), classes).eval()
    inputs = torch.from_numpy(rng.normal(size=(6000, 3)).astype(np.float32) * 3.0)
    with torch.inference_mode():
        probability = network(inputs)
        draws = torch.from_numpy(rng.random((6000, 1)).astype(np.float32))
        if classes == 1:
            targets = (draws < probability).float()
        else:
            number = (draws > probability.cumsum(dim=1)).sum(dim=1).clamp(max=classes - 1)
            targets = nn.functional.one_hot(number, classes).float()
        scale_outputs(network.network, factor, inputs)
        order = network.network(inputs)[:, 0].argsort()
    pairs = Pairs(inputs.numpy(), targets.numpy())
    assert scale_by_temperature(network, pairs) == pytest.approx(factor, rel=0.1)
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs), probability, rtol=0.0, atol=0.02)
        assert (network.network(inputs)[:, 0][order].diff() > -1e-5).all()


@pytest.fixture(scope="module", params=["stability", "planets"])
def problem(request: pytest.FixtureRequest) -> Problem:
    return load_problem(request.param, Size.TINY)


def test_only_labels_that_are_trained_have_them(problem: Problem) -> None:
    drawn = [
        choose_candidate(problem, Size.TINY, RandomChoice(np.random.default_rng(seed)), 0)
        for seed in range(60)
    ]
    for candidate in drawn:
        target = problem.encodings[candidate.encoding].target
        family = ARCHITECTURES[candidate.architecture]
        if target is not Target.LABEL or family.solved or family.trains_policy:
            assert not OF_LABELS.keys() & set(candidate.training.model_dump())
    has_labels = any(e.target is Target.LABEL for e in problem.encodings.values())
    for name in OF_LABELS:
        assert any(getattr(candidate.training, name) for candidate in drawn) is has_labels
