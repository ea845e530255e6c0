"""Where the rig was: poses over time, interpolated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rigid import Rigid, rotation_exp, rotation_from_quaternion, rotation_log


@dataclass(frozen=True)
class Trajectory:
    """Poses of the rig's body in a fixed frame, by strictly increasing stamps."""

    stamps_ns: NDArray[np.int64]  # (N,)
    quaternions: NDArray[np.float64]  # (N, 4) x y z w, fixed_from_body
    translations: NDArray[np.float64]  # (N, 3) metres

    @staticmethod
    def from_samples(
        stamps_ns: NDArray[np.int64], quaternions: NDArray[np.float64], translations: NDArray[np.float64]
    ) -> "Trajectory":
        """Sort the samples by stamp and keep the first of equal ones; non-finite poses are left out."""
        good = (
            np.isfinite(quaternions).all(1)
            & np.isfinite(translations).all(1)
            & (np.linalg.norm(quaternions, axis=1) > 1e-6)
        )
        stamps, first = np.unique(stamps_ns[good], return_index=True)
        return Trajectory(stamps, quaternions[good][first], translations[good][first])

    def covers(self, stamp_ns: int, slack_ns: int = 0) -> bool:
        """Whether `stamp_ns` lies between the first and the last pose, give or take `slack_ns`."""
        if len(self.stamps_ns) < 2:
            return False
        return bool(self.stamps_ns[0] - slack_ns <= stamp_ns <= self.stamps_ns[-1] + slack_ns)

    def at(self, stamp_ns: float) -> Rigid:
        """fixed_from_body at a time: linear in translation, geodesic in rotation, at constant speed beyond the ends.

        Needs at least two poses. `stamp_ns` may lie between nanoseconds only in the sense of a float's rounding.
        """
        i = int(np.clip(np.searchsorted(self.stamps_ns, stamp_ns, side="right") - 1, 0, len(self.stamps_ns) - 2))
        span = float(self.stamps_ns[i + 1] - self.stamps_ns[i])
        fraction = float(stamp_ns - self.stamps_ns[i]) / span
        first, second = rotation_from_quaternion(self.quaternions[i : i + 2])
        step = rotation_log(first.T @ second)
        translation = (1 - fraction) * self.translations[i] + fraction * self.translations[i + 1]
        return Rigid(first @ rotation_exp(fraction * step), translation)

    def motion(self, to_ns: float, from_ns: float) -> Rigid:
        """body(to)_from_body(from): moves points fixed in the world from the body frame at one time to another."""
        return self.at(to_ns).inverse() @ self.at(from_ns)
