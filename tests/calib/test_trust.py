"""What is stated of the error holds: over many fits whose truth is known, and where matches mean nothing."""

from dataclasses import replace

import numpy as np
import pytest
from calib_corridor import true_rig

from heatnet.calib.information import information
from heatnet.calib.observability import lag_note, prior_directions
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.pipeline import CalibrationResult
from heatnet.calib.refine import Fit
from heatnet.calib.solve import Matches, normal_equations
from heatnet.calib.uncertainty import (
    AlignmentGrid,
    displacement_interval,
    estimate_uncertainty,
    held_out,
    split_halves,
    stated_error,
)
from heatnet.calib.verdict import Evidence, Limits, judge

RIG = true_rig()
TRUTH = Estimate(RIG["cam2"].camera, RIG["cam2"].cam_from_cam0)
GRID = AlignmentGrid.of(RIG.rgb_left, TRUTH)
PRIOR = Prior()
SCALE_PX = 2 / 3
POINTS = 250  # a key frame


def made_up_fit(
    seed: int,
    views: int = 6,
    block_px: float = 0.2,
    bias_px: float = 0.0,
    speeds: tuple[float, float] = (8.0, 8.0),
    by_chance: bool = False,
) -> tuple[Fit, np.ndarray]:
    """A fit to matches with noise of their own and noise in common, and the true error of its parameters.

    The guess is drawn from the prior. `by_chance`: matches right of the middle are anywhere in the search radius.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for view in range(views):
        points = rng.uniform((-0.55, -0.45, 0), (0.55, 0.45, 1), (POINTS, 3))
        points[:, 2] = rng.uniform(4, 50, POINTS)
        points[:, :2] *= points[:, 2:]
        velocities = np.tile([0.0, 0.0, -rng.uniform(*speeds)], (POINTS, 1))
        pixels, _ = TRUTH.camera.project(points)
        angle = rng.uniform(0, 2 * np.pi, POINTS)
        normals = np.stack([np.cos(angle), np.sin(angle)], 1)
        jacobian = np.einsum("ni,nip->np", normals, TRUTH.jacobian(points, velocities))
        left = pixels[:, 0] < 160
        common = np.where(left[:, None], *rng.normal(0, block_px, (2, 2)))
        sign = (-1.0) ** np.floor(pixels / (320 / 6, 256 / 5)).sum(1)
        noise = rng.normal(0, 0.3, POINTS) + (normals * common).sum(1) + bias_px * sign
        noise = np.where(by_chance & ~left, rng.uniform(-2, 2, POINTS), noise)
        ones, numbers = np.ones(POINTS), np.arange(POINTS)
        views_of = np.full(POINTS, view)
        parts.append(Matches(noise, jacobian, pixels, normals, points[:, 2], views_of, ones, numbers, POINTS))
    columns = {f: np.concatenate([getattr(p, f) for p in parts]) for f in Matches.__dataclass_fields__ if f != "tried"}
    matches = Matches(**columns, tried=views * POINTS)
    wrong = np.linalg.solve(PRIOR.rows(TRUTH), rng.standard_normal(len(TRUTH.names)))
    return solved(matches, TRUTH.moved(wrong))


def solved(matches: Matches, guess: Estimate) -> tuple[Fit, np.ndarray]:
    """The robust solution from the truth on, with the pixels moving linearly."""
    total = np.zeros(matches.jacobian.shape[1])
    for _ in range(15):
        here = replace(matches, residuals=matches.residuals - matches.jacobian @ total)
        normal = normal_equations(here, TRUTH.moved(total), guess, PRIOR, SCALE_PX, 2.0)
        total = total + np.linalg.solve(normal.information, normal.pull)
    here = replace(matches, residuals=matches.residuals - matches.jacobian @ total)
    normal = normal_equations(here, TRUTH.moved(total), guess, PRIOR, SCALE_PX, 2.0)
    return Fit(TRUTH.moved(total), here, normal), total


def test_the_stated_region_holds_the_truth_in_90_to_99_percent() -> None:
    held, ratios, inside = [], [], []
    for seed in range(60):
        fit, error = made_up_fit(seed)
        uncertainty = estimate_uncertainty(fit, GRID, TRUTH.camera.resolution)
        stated, true = stated_error(GRID, uncertainty, seed), float(GRID.errors(error).mean())
        held.append(true <= stated)
        ratios.append(stated / true)
        inside.append(np.abs(error) <= uncertainty.half_width)
    assert 0.90 <= np.mean(held) <= 1.0
    assert np.median(ratios) < 2.5, "so wide a region says nothing"
    assert 0.88 <= np.mean(inside) <= 0.995


def test_what_key_frames_share_among_their_matches_widens_the_region() -> None:
    resolution = TRUTH.camera.resolution
    still, shaken = (made_up_fit(3, block_px=b)[0] for b in (0.0, 0.4))
    first, second = (estimate_uncertainty(f, GRID, resolution) for f in (still, shaken))
    assert GRID.mean_square(second.scatter) > 4 * GRID.mean_square(first.scatter)


def test_a_bias_that_all_key_frames_share_is_seen() -> None:
    biased, fair = (made_up_fit(5, views=12, block_px=0.02, bias_px=b)[0] for b in (0.3, 0.0))
    parts = [estimate_uncertainty(f, GRID, TRUTH.camera.resolution).shared for f in (biased, fair)]
    assert GRID.mean_square(parts[0]) > 4 * GRID.mean_square(parts[1])


def test_matches_by_chance_tell_nothing() -> None:
    """Half the image matched by chance is as good as half the image not matched, however many matches there are."""
    fair, half = (made_up_fit(7, by_chance=b)[0] for b in (False, True))
    right = half.matches.pixels[:, 0] >= 160
    told = information(half, TRUTH.camera.resolution)
    assert told.firm[right].sum() < 0.02 * told.firm[~right].sum()
    errors = [stated_error(GRID, estimate_uncertainty(f, GRID, TRUTH.camera.resolution), 0) for f in (fair, half)]
    assert errors[1] > 1.5 * errors[0]


def test_one_key_frame_leaves_the_prior_alone() -> None:
    fit, _ = made_up_fit(0, views=1)
    uncertainty = estimate_uncertainty(fit, GRID, TRUTH.camera.resolution)
    assert np.all(uncertainty.prior_share == 1)
    assert stated_error(GRID, uncertainty, 0) > 5


def test_what_one_key_frame_leaves_to_the_guess_is_not_called_harmless() -> None:
    fit, _ = made_up_fit(0, views=1)
    sure = estimate_uncertainty(fit, GRID, TRUTH.camera.resolution)
    deviations = sure.deviations()
    assert np.allclose(np.diag(deviations) ** 2, np.diag(sure.covariance))
    fx, fy = TRUTH.names.index("fx"), TRUTH.names.index("fy")
    assert sure.correlation()[fx, fy] > 0.95  # they move together, by the guess of their ratio
    assert GRID.mean_error(deviations[:, fx]) > 5


def test_halves_that_see_different_biases_differ() -> None:
    fit, _ = made_up_fit(1)
    told = information(fit, TRUTH.camera.resolution)
    before = split_halves(fit, told, GRID)
    late = fit.matches.views >= 3
    shifted = replace(fit.matches, residuals=fit.matches.residuals + late * fit.matches.normals[:, 0] * 0.5)
    normal = normal_equations(shifted, fit.estimate, fit.estimate, PRIOR, SCALE_PX, 2.0)
    broken = replace(fit, matches=shifted, normal=normal)
    assert split_halves(broken, information(broken, TRUTH.camera.resolution), GRID) > before + 0.25
    assert held_out(broken, information(broken, TRUTH.camera.resolution)) > held_out(fit, told)


def test_the_interval_of_a_known_displacement_lies_about_it() -> None:
    fit, _ = made_up_fit(2)
    uncertainty = estimate_uncertainty(fit, GRID, TRUTH.camera.resolution)
    step = np.zeros(len(TRUTH.names))
    step[1] = np.deg2rad(0.3)
    moved = GRID.displacement(TRUTH.moved(step))
    length = np.linalg.norm(moved[GRID.seen], axis=-1).mean()
    low, high = displacement_interval(GRID, uncertainty, moved, 0)
    assert 0.5 * length < low < length < high < 1.5 * length


def test_lag_and_forward_translation_are_said_to_be_one_at_constant_speed() -> None:
    notes = {}
    for name, speeds in (("constant", (8.0, 8.0)), ("varied", (0.5, 15.0)), ("standing", (0.0, 0.0))):
        fit, _ = made_up_fit(4, views=12, speeds=speeds)
        notes[name] = lag_note(fit, estimate_uncertainty(fit, GRID, TRUTH.camera.resolution))
    assert "cannot be told from forward translation (1 ms is 8 mm)" in notes["constant"]
    assert "by turns and changes of speed" in notes["varied"]
    assert "cannot be observed" in notes["standing"]


def test_directions_that_the_prior_decides_are_named_with_what_they_are_worth() -> None:
    fit, _ = made_up_fit(4)
    found = prior_directions(TRUTH.names, estimate_uncertainty(fit, GRID, TRUTH.camera.resolution), GRID)
    assert found
    assert all(0.5 < d.prior_share <= 1 and d.alignment_px >= 0 for d in found)
    assert any({"lag", "translation_z"} <= set(d.moves) for d in found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matches": 200}, "200 edges"),
        ({"views": 2}, "2 key frames"),
        ({"rayless": 0.2}, "no ray leads to 20% of it"),
        ({"rayless": float("nan")}, "no ray leads"),
        ({"strain": ("translation_x", 20.0)}, "swapped"),
        ({"strain": ("p2", 3.5)}, "3.5 deviations"),
        ({"halves_px": 2.0}, "halves"),
        ({"stated_px": 1.4}, "stated error is 1.4 px"),
        ({"stated_px": float("nan")}, "stated error"),
        ({"strain": ("fx", float("nan"))}, "the focal length is nan deviations"),
        (
            {"strain": ("fy", 5.0)},
            "the ratio of fx and fy is 5.0 deviations from the guess (limit 3.2): is that guess right",
        ),
    ],
)
def test_every_kind_of_doubt_is_told(result: CalibrationResult, change: dict[str, object], words: str) -> None:
    fine = Evidence(result.cameras[0].score, 0.2, 0.3, 6, 4000, ("fx", 1.0))
    assert judge(fine, Limits())[0] == "good"
    assert judge(replace(fine, strain=("lag", 3.0)), Limits())[0] == "good"  # 30 ms hidden by stamps
    status, reason = judge(replace(fine, **change), Limits())  # type: ignore[arg-type]
    assert status == "inconclusive"
    assert words in reason


def test_an_inconclusive_result_states_no_error(result: CalibrationResult) -> None:
    camera = result.cameras[0]
    assert camera.as_dict()["alignment_error_px"]["stated_95"] == camera.stated_px
    doubtful = replace(camera, status="inconclusive")
    assert doubtful.as_dict()["alignment_error_px"]["stated_95"] is None
