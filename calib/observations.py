"""Landmarks of all key frames as one thermal camera should see them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.matching import Gradients
from heatnet.calib.parameters import Estimate

Array = NDArray[np.float64]
Index = NDArray[np.int64]
BORDER_PX = 3.0
A_LANDMARK = ("points", "along", "velocities", "numbers", "doubt")  # what holds a row of each


@dataclass(frozen=True)
class Seen:
    """Landmarks that fall into the thermal images."""

    index: Index  # (M,) which
    placed: Array  # (M, 3) in the thermal camera
    pixels: Array  # (M, 2)
    along: Array  # (M, 2) px, along the edge


@dataclass(frozen=True)
class Observations:
    """Landmarks against the thermal frames of one camera, frame after frame."""

    gradients: Gradients  # of the K frames
    views: Index  # (K,) the key frames they are near
    images: Index  # (N,) the frame of each of these landmarks, in order
    points: Array  # (N, 3) in cam0 at the frame's stamp
    along: Array  # (N, 3) likewise
    velocities: Array  # (N, 3) m/s in cam0
    numbers: Index  # (N,) of the landmarks: the same one has the same in every camera and frame
    doubt: Array  # (N,) share by which the depth may well be wrong
    worth: float = 1.0  # how many landmarks each of these stands for

    @staticmethod
    def joined(parts: Sequence["Observations"]) -> "Observations":
        """Those of several frames as one, without their images."""
        rows: dict[str, Any] = {
            name: np.concatenate([getattr(p, name) for p in parts]) for name in ("views", *A_LANDMARK)
        }
        images = np.repeat(np.arange(len(parts)), [len(p.points) for p in parts])
        return replace(parts[0], images=images, **rows)

    def thinned(self, most: int) -> "Observations":
        """The same with so few landmarks that hardly more than `most` rows remain."""
        return self.every(-(-len(self.points) // most))

    def every(self, step: int) -> "Observations":
        """The same with one of `step` landmarks: others in the next frame of a key frame, the same in every camera."""
        if step <= 1:
            return self
        turn = np.arange(len(self.views)) - np.searchsorted(self.views, self.views)  # of the frames of a key frame
        kept = np.flatnonzero((self.numbers + turn[self.images]) % step == 0)
        return replace(self.only(kept), worth=self.worth * step)

    def only(self, kept: Index) -> "Observations":
        """The same with the landmarks `kept` (M,), which must be in order."""
        rows = {name: getattr(self, name)[kept] for name in ("images", *A_LANDMARK)}
        return replace(self, **rows)

    def seen(self, estimate: Estimate) -> Seen:
        """The landmarks that `estimate` places inside the images."""
        placed = estimate.place(self.points, self.velocities)
        pixels, real = estimate.camera.project(placed)
        index = np.flatnonzero(real & estimate.camera.sees(pixels, BORDER_PX))
        beside, also = estimate.camera.project(estimate.place(self.along[index], self.velocities[index]))
        index, beside = index[also], beside[also]
        return Seen(index, placed[index], pixels[index], beside - pixels[index])

    def apart_px(self, estimate: Estimate, other: Estimate) -> float:
        """How far apart two estimates place the landmarks (median of those inside the images by the first)."""
        seen = self.seen(estimate)
        pixels, _ = other.camera.project(other.place(self.points[seen.index], self.velocities[seen.index]))
        return float(np.median(np.hypot(*(pixels - seen.pixels).T))) if len(pixels) else 0.0


Observe = Callable[[float, int], Observations]  # under a blur [px], in so many frames a key frame
