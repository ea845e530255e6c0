"""Loss terms against values worked out by hand."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from heatnet.segmentation.losses import (
    certainty_loss,
    class_weights_from,
    confusion_loss,
    critic_loss,
    domain_loss,
    pixel_cross_entropy,
    pixel_weights,
    supervised_loss,
    weighted_mean,
)


def test_the_ignored_label_costs_nothing_and_does_not_crash() -> None:
    logits = torch.zeros(1, 13, 1, 2)
    values = pixel_cross_entropy(logits, torch.tensor([[[4, 13]]]))
    assert values.tolist() == [[[pytest.approx(math.log(13)), 0.0]]]


def test_the_mean_goes_over_known_pixels_only() -> None:
    logits = torch.zeros(1, 13, 1, 4)
    label = torch.tensor([[[4, 13, 13, 13]]])
    assert supervised_loss(logits, label, pixel_weights(label)).item() == pytest.approx(math.log(13))


def test_a_batch_without_any_known_pixel_has_loss_zero_and_finite_gradients() -> None:
    logits = torch.zeros(1, 13, 2, 2, requires_grad=True)
    label = torch.full((1, 2, 2), 13)
    loss = supervised_loss(logits, label, pixel_weights(label))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and bool((logits.grad == 0).all())


def test_confidence_weighs_pixels_before_the_mean() -> None:
    # Two pixels: right with logit 2 against zeros, and the uniform one; weights 1 and 0.5.
    logits = torch.zeros(1, 13, 1, 2)
    logits[0, 3, 0, 0] = 2.0
    label = torch.tensor([[[3, 5]]])
    first = math.log(math.exp(2) + 12) - 2
    expected = (1 * first + 0.5 * math.log(13)) / 1.5
    assert supervised_loss(logits, label, torch.tensor([[[1.0, 0.5]]])).item() == pytest.approx(expected)


def test_weighted_mean_is_unchanged_when_all_weights_are_scaled() -> None:
    values, weights = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    assert weighted_mean(values, weights).item() == pytest.approx(weighted_mean(values, 7 * weights).item(), rel=1e-5)


def test_pixels_that_are_not_counted_weigh_nothing() -> None:
    label = torch.tensor([[[1, 1, 13]]])
    assert pixel_weights(label, counted=torch.tensor([[[True, False, True]]])).tolist() == [[[1.0, 0.0, 0.0]]]


def test_class_weights_have_mean_one_over_the_pixels_and_lift_rare_classes() -> None:
    share = torch.tensor([0.9, 0.1, 0.0])
    weights = class_weights_from(share, 0.5)
    assert (weights * share).sum().item() == pytest.approx(1.0)
    assert weights[1].item() / weights[0].item() == pytest.approx(3.0)
    assert weights[2].item() == 0.0
    assert class_weights_from(share, 0.0).tolist() == [1.0, 1.0, 0.0]


def test_domain_loss_by_hand() -> None:
    score = torch.tensor([[[[0.5, 2.0]]]])
    assert domain_loss(score, 1.0, "mse").item() == pytest.approx((0.25 + 1.0) / 2)
    expected = (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-2.0))) / 2
    assert domain_loss(score, 1.0, "bce").item() == pytest.approx(expected)
    # Weights of 2 x 4 pixels: the left score stands for weight 1, the right one for 0.5.
    weights = torch.tensor([[[1.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.5, 0.5]]])
    assert domain_loss(score, 1.0, "mse", weights).item() == pytest.approx((0.25 + 0.5 * 1.0) / 1.5)


def test_critics_learn_day_as_one_and_night_as_zero_over_all_maps() -> None:
    day, night = [torch.full((1, 1, 1, 1), 0.8)] * 2, [torch.full((1, 1, 1, 1), 0.3)] * 2
    assert critic_loss(day, night, "mse").item() == pytest.approx(2 * (0.2**2 + 0.3**2))


@pytest.mark.parametrize(("two_way", "expected"), [(False, 0.7**2 + 0.2**2), (True, 0.7**2 + 0.8**2)])
def test_confusion_asks_night_to_pass_for_day_and_two_way_day_for_night(two_way: bool, expected: float) -> None:
    day, night = [torch.full((1, 1, 1, 1), 0.8)], [torch.full((1, 1, 1, 1), 0.3)]
    assert confusion_loss(day, night, "mse", two_way).item() == pytest.approx(expected)


def test_each_map_has_its_own_weight_in_the_confusion() -> None:
    day, night = [torch.full((1, 1, 1, 1), 0.8)] * 2, [torch.full((1, 1, 1, 1), 0.3)] * 2
    one = 0.7**2 + 0.2**2
    weights = [0.5, 2.0, 9.0]  # as many as there may be maps; those in use count
    assert confusion_loss(day, night, "mse", False, None, weights).item() == pytest.approx(2.5 * one)


def test_the_cross_entropy_takes_logits_and_one_softmax_only() -> None:
    """Probabilities taken for logits cost at least log(1 + 12 / e) = 1.69 however right they are."""
    logits = torch.zeros(1, 13, 1, 1)
    logits[0, 4] = 20.0
    label = torch.tensor([[[4]]])
    assert pixel_cross_entropy(logits, label).item() == pytest.approx(0.0, abs=1e-6)
    assert cross_entropy(torch.softmax(logits, 1), label).item() > 1.6


def test_the_certainty_branch_learns_how_wrong_the_true_class_is_and_moves_nothing_else() -> None:
    logits = torch.zeros(1, 13, 1, 2, requires_grad=True)
    error = torch.tensor([[[0.5, 0.9]]], requires_grad=True)
    label = torch.tensor([[[4, 13]]])
    loss = certainty_loss(error, logits, label, pixel_weights(label))
    assert loss.item() == pytest.approx((0.5 - 12 / 13) ** 2)
    loss.backward()
    assert logits.grad is None and error.grad is not None and error.grad[0, 0, 1] == 0
