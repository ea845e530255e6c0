"""How cam0 moved between two times, by odometry."""

from dataclasses import dataclass

from heatnet.calib.rig import Body
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory

SLACK_NS = 100_000_000  # odometry at 10 Hz or faster may end this long before the last frame
STEP_NS = 5_000_000


@dataclass(frozen=True)
class CamMotion:
    """Motion of cam0 after a body with odometry; without one, cam0 is taken to stand."""

    trajectory: Trajectory | None
    body: Body | None

    def known(self, stamp_ns: int) -> bool:
        """Whether there is odometry at that time."""
        return self.body is not None and self.trajectory is not None and self.trajectory.covers(stamp_ns, SLACK_NS)

    def between(self, to_ns: int, from_ns: int) -> Rigid:
        """cam0(to)_from_cam0(from): moves points fixed in the world; the identity where nothing is known."""
        if self.body is None or self.trajectory is None or not (self.known(to_ns) and self.known(from_ns)):
            return Rigid.identity()
        cam0_from_body = self.body.cam0_from_body
        return cam0_from_body @ self.trajectory.motion(to_ns, from_ns) @ cam0_from_body.inverse()

    def rate(self, at_ns: int, from_ns: int) -> tuple[Rigid, Rigid, float]:
        """The motion to two times around `at_ns`, and the seconds between them: what velocities are made of."""
        seconds = 2 * STEP_NS * 1e-9
        return self.between(at_ns - STEP_NS, from_ns), self.between(at_ns + STEP_NS, from_ns), seconds
