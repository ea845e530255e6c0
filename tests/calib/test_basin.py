"""Of several beginnings the one that meets most edges stays, and no failure of one camera is another's."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from heatnet.calib import basin, several
from heatnet.calib.ascent import directions
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.observations import Observe
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.pipeline import calibrate
from heatnet.calib.refine import Fit, refine_jointly
from heatnet.calib.rig import Rig
from heatnet.calib.scene import Scene, observer, prepare
from heatnet.calib.verdict import Limits
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError


def truth_of(rig: Rig) -> Estimate:
    return Estimate(rig["cam2"].camera, rig["cam2"].cam_from_cam0)


def shifted(estimate: Estimate, pixels: float) -> Estimate:
    step = np.zeros(len(estimate.names))
    step[estimate.names.index("cx")] = pixels
    return estimate.moved(step)


@pytest.fixture(scope="module")
def scenes(rig: Rig, views: Views) -> tuple[Scene, ...]:
    some = dataclasses.replace(views, views=views.views[:3])
    return prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig))


@pytest.fixture(scope="module")
def observe(scenes: tuple[Scene, ...]) -> Observe:
    return observer(scenes, "cam2")


def found(rig: Rig, scenes: tuple[Scene, ...], observe: Observe) -> Estimate:
    config = CalibrationConfig()
    return basin.find_basin(
        scenes, rig["cam2"], observe, truth_of(rig), config.prior, config.coarse, config.coarse_views
    )


def test_of_places_alike_the_first_is_kept(rig: Rig, observe: Observe) -> None:
    truth = truth_of(rig)
    kept = basin._unlike(observe, [truth, shifted(truth, 0.05), shifted(truth, 0.5), shifted(truth, 0.45)], 0.15)
    assert [e.camera.intrinsics[2] - truth.camera.intrinsics[2] for e in kept] == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_start_that_ends_on_the_edges_wins(rig: Rig, observe: Observe, order: tuple[int, int]) -> None:
    truth, turned = truth_of(rig), np.zeros(len(truth_of(rig).names))
    turned[1] = np.deg2rad(4.0)
    starts = [(truth, truth.moved(turned))[i] for i in order]
    best, met = basin._settle_best(observe, starts, truth, Prior())
    _, elsewhere = basin._settle_best(observe, [truth.moved(turned)], truth, Prior())
    assert observe(1.0, 1).apart_px(truth, best) < 0.5
    assert met > 1.2 * elsewhere


def test_a_wrong_place_is_left_for_one_that_meets_more_edges(
    rig: Rig, scenes: tuple[Scene, ...], observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, met = truth_of(rig), iter([100.0, 120.0, 150.0, 151.0])
    places = [shifted(right, px) for px in (3.0, 1.0, 0.0, 9.0)]
    asked: list[Sequence[Estimate]] = []

    def settle_best(_: Observe, starts: Sequence[Estimate], *rest: object) -> tuple[Estimate, float]:
        asked.append(starts)
        return places[len(asked) - 1], next(met)

    monkeypatch.setattr(basin, "_settle_best", settle_best)
    monkeypatch.setattr(basin, "_let_go", lambda _, at, *rest: [at])
    assert found(rig, scenes, observe) is places[2]  # the last round met hardly more
    assert [starts[0] for starts in asked[1:]] == places[:3]


@pytest.mark.parametrize("seed", [2, 18, 32])
def test_halves_of_the_image_lead_out_of_wrong_places(rig: Rig, observe: Observe, seed: int) -> None:
    truth, observed = truth_of(rig), observe(1.0, 1)
    ways = directions(observed, truth, truth, Prior())
    kick = np.random.default_rng(seed).normal(size=len(ways))
    start = truth.moved(7.0 * kick / np.linalg.norm(kick) @ ways)
    settled, met = basin._settle_best(observe, [start], truth, Prior())
    assert observed.apart_px(truth, settled) > 1.0
    end, more = basin._settle_best(observe, basin._let_go(observe, settled, truth, Prior()), truth, Prior())
    assert observed.apart_px(truth, end) < 0.2 and more > 1.2 * met


def test_only_what_agrees_about_as_well_elsewhere_is_followed(
    rig: Rig, observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = truth_of(rig)
    assert not basin._let_go(observe, truth, truth, Prior())
    for at, end, followed in (
        (truth, shifted(truth, 5.0), []),
        (truth, shifted(truth, 0.2), []),
        (shifted(truth, 5.0), truth, [truth]),
    ):
        monkeypatch.setattr(basin, "_refined", lambda *_, end=end: end)
        assert basin._let_go(observe, at, truth, Prior()) == followed


def test_the_search_ends_where_halves_always_promise_more(
    rig: Rig, scenes: tuple[Scene, ...], observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = iter(2.0 ** np.arange(100))
    monkeypatch.setattr(basin, "_settle_best", lambda _, starts, *rest: (starts[0], next(met)))
    monkeypatch.setattr(basin, "_let_go", lambda _, at, *rest: [at])
    found(rig, scenes, observe)
    assert next(met) == 2.0 ** (1 + basin.HOPS)


def test_halves_are_sides_of_the_image_whatever_the_blur(rig: Rig, observe: Observe) -> None:
    truth = truth_of(rig)
    halves = list(basin._halves(observe, truth))
    assert len(halves) == 8
    for blur_px in (1.0, 2.0):
        count = len(observe(blur_px, 1).seen(truth).index)
        for first, axis in ((0, 0), (2, 1)):
            far, near = (halves[i](blur_px, 1) for i in (first, first + 4))
            assert near.seen(truth).pixels[:, axis].max() <= far.seen(truth).pixels[:, axis].min()
            assert [len(h.points) for h in (near, far)] == pytest.approx([count / 2] * 2, abs=2)
            assert all((np.diff(h.images) >= 0).all() for h in (near, far))


def test_a_lens_that_folds_over_does_not_convince_however_well_edges_agree(observe: Observe, rig: Rig) -> None:
    lenient = dataclasses.replace(CalibrationConfig(), limits=Limits(least_margin=-1e9))
    right = truth_of(rig)
    bent = dataclasses.replace(right.camera, distortion=np.array([-0.9, -0.3, 0.0, 0.0]))
    assert bent.rayless_share() > 0.05 and right.camera.rayless_share() == 0
    for estimate, convincing in ((right, True), (dataclasses.replace(right, camera=bent), False)):
        assert several.Located.of(rig["cam2"], observe, estimate, lenient).convincing == convincing


def test_where_cameras_fail_together_each_is_refined_alone(
    rig: Rig, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone_only(observes: Sequence[Observe], *rest: Sequence[Estimate]) -> list[Fit]:
        if len(observes) > 1:
            raise np.linalg.LinAlgError
        return refine_jointly(observes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(several, "refine_jointly", alone_only)
    result = calibrate(views, rig)
    assert [c.status for c in result.cameras] == ["good", "good"]


def test_a_rig_that_begins_with_a_thermal_camera_is_refused(rig: Rig, views: Views) -> None:
    first = dataclasses.replace(rig, cameras=(rig.cameras[2], *rig.cameras[:2], *rig.cameras[3:]))
    with pytest.raises(CalibrationError, match=r"cam2 .* is thermal: the rig file's first camera must be the left RGB"):
        calibrate(views, first)
