"""What makes unlabelled nights teach more, each with values worked out by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from segmentation_toys import PLAIN

from heatnet.errors import TrainingError
from heatnet.segmentation.adaptation import (
    class_mix,
    complementary,
    dimmed,
    draw_classes,
    draw_objects,
    draw_patches,
    hidden,
    hidden_in_both,
    labelled_by,
    only_sure,
    surer,
)
from heatnet.segmentation.augment import augment, like, thermal_like
from heatnet.segmentation.config import AdaptConfig, laptop
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.optimizer import Average, Schedule, Updater
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.sampling import Shuffled, rare_first
from heatnet.segmentation.student import Student, prepared, student_step


def frames(label: int = 3, confidence: float = 1.0, size: int = 64) -> Frames:
    torch.manual_seed(label)
    return Frames(
        rgb=torch.rand(2, 3, size, size) + 0.01,
        thermal=torch.rand(2, 1, size, size) + 0.01,
        valid=torch.ones(2, size, size, dtype=torch.bool),
        label=torch.full((2, size, size), label),
        confidence=torch.full((2, size, size), confidence),
    )


def test_classes_are_pasted_with_images_labels_and_confidence() -> None:
    day, night = frames(3), frames(5, 0.4)
    pasted = torch.zeros(2, 64, 64, dtype=torch.bool)
    pasted[0, :10] = True
    mixed = class_mix(day, night, pasted)
    for name, value in vars(mixed).items():
        rows = (slice(None), slice(0, 10)) if value.dim() == 4 else (slice(0, 10),)
        assert torch.equal(value[0][rows], getattr(day, name)[0][rows]), name
        assert torch.equal(value[1], getattr(night, name)[1]), name
    assert mixed.label[0, 20, 0] == 5 and mixed.confidence[0, 5, 0] == 1


def test_half_of_a_frames_classes_are_drawn_and_never_what_has_no_label() -> None:
    label = torch.arange(4).repeat_interleave(16).view(1, 8, 8).clone()
    label[0, 0, 0] = 13
    for seed in range(10):
        torch.manual_seed(seed)
        chosen = draw_classes(label, 1.0)
        assert len(label[chosen].unique()) == 2 and not chosen[0, 0, 0]
    assert not draw_classes(label, 0.0).any()


def test_people_cars_and_bicycles_are_pasted_and_nothing_else() -> None:
    label = torch.arange(14).view(1, 2, 7).expand(2, -1, -1)
    assert label[0][draw_objects(label, 1.0)[0]].tolist() == [9, 10, 11]
    assert not draw_objects(label, 0.0).any()
    student, config = student_with(AdaptConfig(paste=1.0, threshold=0))
    day, night = frames(3), frames(5, 0.5)
    day.label[:, 20:30] = 9
    _, mixed, _ = prepared(student, Batch(day, night), config)  # type: ignore[arg-type]
    assert (mixed.label[:, 20:30] == 9).all() and (mixed.label[:, :20] == 5).all()
    assert torch.equal(mixed.thermal[:, :, 20:30], day.thermal[:, :, 20:30])
    assert (mixed.confidence[:, 20:30] == 1).all() and (mixed.confidence[:, 30:] == 0.5).all()


def test_what_is_pasted_is_as_dark_as_the_night_and_never_brighter_than_it_was() -> None:
    day, night = frames(3), frames(5)
    night.rgb[0] = night.rgb[0] * 0.2 - 0.8
    night.rgb[1] = 1.0
    seen = dimmed(day, night)
    assert (seen.rgb[0] + 1).mean().item() == pytest.approx((night.rgb[0] + 1).mean().item(), rel=1e-4)
    assert torch.allclose(seen.rgb[1], day.rgb[1]) and torch.equal(seen.thermal, day.thermal)


def test_patches_are_squares_of_about_the_share() -> None:
    torch.manual_seed(0)
    patches = draw_patches(frames(size=128), 0.3, 8)
    blocks = patches.view(2, 16, 8, 16, 8)
    assert torch.equal(blocks.any(4).any(2), blocks.all(4).all(2))
    assert 0.2 < patches.float().mean().item() < 0.4


def test_complementary_masks_leave_each_pixel_exactly_one_modality() -> None:
    torch.manual_seed(0)
    seen = complementary(frames(), AdaptConfig(complementary_mask=1.0, mask_patch=16))
    no_rgb, no_thermal = (seen.rgb == -1).all(1), (seen.thermal == 0)[:, 0]
    assert torch.equal(no_rgb, ~no_thermal) and torch.equal(seen.valid, no_rgb)
    assert 0.2 < no_rgb.float().mean().item() < 0.8
    untouched = complementary(frames(), AdaptConfig(complementary_mask=0.0))
    assert torch.equal(untouched.rgb, frames().rgb) and torch.equal(untouched.thermal, frames().thermal)


def test_hidden_patches_are_gone_in_both_and_keep_their_labels() -> None:
    torch.manual_seed(0)
    seen = hidden_in_both(frames(), AdaptConfig(mask_share=0.5, mask_patch=16))
    gone = ~seen.valid
    assert torch.equal((seen.rgb == -1).all(1), gone) and torch.equal((seen.thermal == 0)[:, 0], gone)
    assert gone.any() and (seen.label == 3).all()
    nothing = torch.zeros(2, 64, 64, dtype=torch.bool)
    assert torch.equal(hidden(frames(), nothing, nothing).rgb, frames().rgb)


def test_labels_come_from_who_is_surer_and_doubtful_ones_teach_nothing() -> None:
    merged = surer(frames(3, 0.6), frames(5, 0.8))
    assert (merged.label == 5).all() and torch.allclose(merged.confidence, torch.tensor(0.8))
    assert (surer(frames(3, 0.9), frames(5, 0.8)).label == 3).all()
    assert (only_sure(frames(3, 0.6), 0.7).label == 13).all() and (only_sure(frames(3, 0.7), 0.7).label == 3).all()


def saying(label: int, logit: float, **changes: object) -> PSPNet:
    """A network that says one class everywhere, and with a certainty branch an error of 0.25."""
    network = PSPNet(NetworkConfig(width=0.05, steps=1, **changes))  # type: ignore[arg-type]
    torch.nn.init.zeros_(network.head.classify.weight)
    network.head.classify.bias.data = logit * (torch.arange(13) == label)
    if network.head.doubt is not None:
        torch.nn.init.zeros_(network.head.doubt.weight)
        torch.nn.init.constant_(network.head.doubt.bias, -np.log(3))
    return network


def test_a_labelling_network_stands_still_and_its_confidence_is_one_softmax() -> None:
    network = saying(7, 2.0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    labelled = labelled_by(network, frames())
    assert (labelled.label == 7).all() and network.training
    assert torch.allclose(labelled.confidence, torch.tensor(np.exp(2) / (np.exp(2) + 12)).float())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not labelled.confidence.requires_grad


def test_with_a_certainty_branch_the_confidence_is_what_it_says() -> None:
    assert torch.allclose(labelled_by(saying(7, 2.0, certainty=True), frames()).confidence, torch.tensor(0.75))


def test_a_thermal_network_labels_nothing_where_it_has_no_thermal() -> None:
    night = frames()
    night.valid[:, :, :20] = False
    labelled = labelled_by(saying(7, 2.0, modalities=("thermal",)), night)
    assert (labelled.label[:, :, :20] == 13).all() and (labelled.confidence[:, :, :20] == 0).all()
    assert (labelled.label[:, :, 20:] == 7).all()


def student_with(adapt: AdaptConfig, **changes: object) -> tuple[Student, object]:
    config = laptop(width=0.05, crop=(64, 64), batch=2, adapt=adapt, **changes)
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.05, steps=1))
    updater = Updater(network, config, Schedule(1e-3, 0, 100, 0))
    return Student(network, updater, torch.nn.ModuleDict(), None, torch.ones(13), Average(network, 0.9)), config


@pytest.mark.parametrize(
    "adapt",
    [
        AdaptConfig(mean_teacher=True, threshold=0.1),
        AdaptConfig(class_mix=1.0),
        AdaptConfig(paste=1.0),
        AdaptConfig(complementary_mask=1.0),
        AdaptConfig(masked_consistency=1.0),
        AdaptConfig(mean_teacher=True, class_mix=0.5, complementary_mask=0.5, masked_consistency=1.0, threshold=0.05),
    ],
)
def test_each_way_to_adapt_trains_alone_and_all_together(adapt: AdaptConfig) -> None:
    student, config = student_with(adapt)
    terms = student_step(student, Batch(frames(), frames(5, 0.5)), config, confuse=False)  # type: ignore[arg-type]
    assert ("masked" in terms) == (adapt.masked_consistency > 0)
    assert all(np.isfinite(value) for value in terms.values()) and terms["gradient_norm"] > 0


def test_the_average_labels_the_night_where_it_is_surer_and_never_the_day() -> None:
    student, config = student_with(AdaptConfig(mean_teacher=True))
    student.average = Average(saying(7, 9.0), 0.9)
    day, night, own = prepared(student, Batch(frames(3), frames(5, 0.5)), config)  # type: ignore[arg-type]
    assert (day.label == 3).all() and (night.label == 7).all() and own is not None and (own.label == 7).all()


@pytest.mark.parametrize(("logit", "label"), [(9.0, 9), (3.0, 13)])
def test_an_online_teacher_labels_each_crop_by_night_where_it_is_sure(logit: float, label: int) -> None:
    student, config = student_with(AdaptConfig())
    student.night_teacher = saying(9, logit, modalities=("thermal",))
    _, night, _ = prepared(student, Batch(frames(3), frames(13)), config)  # type: ignore[arg-type]
    assert (night.label == label).all()


def test_rare_classes_are_drawn_more_often_and_the_same_for_the_same_number() -> None:
    maps = [np.zeros((32, 32), np.uint8) for _ in range(10)]
    maps[3][:10] = 11
    order = rare_first(maps, 0.1)
    drawn = [order.index(0, number) for number in range(400)]
    assert np.mean([index == 3 for index in drawn]) > 0.9
    assert drawn[:50] == [order.index(0, number) for number in range(50)]
    flat = rare_first(maps, 100.0)
    assert 0.4 < np.mean([flat.index(0, number) == 3 for number in range(400)]) < 0.7  # half by class, a tenth besides
    assert sorted(Shuffled(10).index(0, number) for number in range(10)) == list(range(10))


def picture(low: int, high: int) -> Frame:
    rng = np.random.default_rng(low)
    rgb = rng.integers(low, high, (60, 80, 3)).astype(np.uint8)
    thermal = (rng.uniform(low, high, (60, 80)) / 128 - 1).astype(np.float32)
    valid = np.ones((60, 80), bool)
    valid[:, :10] = False
    return Frame(rgb, np.where(valid, thermal, np.float32(0)), valid, np.zeros((60, 80), np.uint8), valid.astype("f4"))


def test_a_borrowed_look_has_the_values_of_the_night_and_keeps_their_order() -> None:
    day, night = picture(100, 250), picture(0, 40)
    dark = like(day.rgb, night.rgb)
    assert abs(float(dark.mean()) - float(night.rgb.mean())) < 2 and dark.max() < 42
    order = np.argsort(day.rgb[..., 0].ravel(), kind="stable")
    assert (np.diff(dark[..., 0].ravel()[order].astype(int)) >= 0).all()
    cold = thermal_like(day.thermal, day.valid, night)
    assert abs(float(cold[day.valid].mean()) - float(night.thermal[night.valid].mean())) < 0.02
    assert not cold[~day.valid].any()


def varied(by_day: bool, **changes: float) -> list[Frame]:
    config = replace(PLAIN, **changes)
    return [
        augment(picture(100, 250), (48, 64), 1.0, config, np.random.default_rng(seed), by_day, picture(0, 40))
        for seed in range(30)
    ]


@pytest.mark.parametrize(
    ("setting", "happened"),
    [
        ("drop_thermal", lambda frame: not frame.valid.any()),
        ("night_style", lambda frame: frame.rgb.max() < 45),
    ],
)
def test_what_is_for_the_day_happens_by_day_and_never_by_night(setting: str, happened: Callable[[Frame], bool]) -> None:
    share = np.mean([happened(frame) for frame in varied(True, **{setting: 0.5})])
    assert 0.2 < share < 0.8
    assert not any(happened(frame) for frame in varied(False, **{setting: 0.5}))


def test_a_frame_is_never_left_without_both_modalities() -> None:
    for frame in varied(True, drop_rgb=0.5, drop_thermal=0.5):
        assert frame.rgb.any() or frame.valid.any()


def test_hot_and_cold_are_swapped_about_the_mean() -> None:
    plain, swapped = varied(True)[0], varied(True, thermal_invert=1.0)[0]
    both = plain.valid & swapped.valid
    correlation = np.corrcoef(plain.thermal[both], swapped.thermal[both])[0, 1]
    assert correlation < -0.9


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"class_mix": -0.1}, {"masked_consistency": -1.0}, {"mask_patch": 0}]
)
def test_impossible_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match=f"adapt.{next(iter(wrong))}"):
        AdaptConfig(**wrong)  # type: ignore[arg-type]
