"""One corridor, rendered and calibrated once for all tests of this room."""

import pytest
from calib_corridor import Corridor, rough, true_rig

from heatnet.calib.pipeline import CalibrationResult, calibrate
from heatnet.calib.rig import Rig
from heatnet.calib.views import Views


@pytest.fixture(scope="session")
def rig() -> Rig:
    """The true rig of the corridor."""
    return true_rig()


@pytest.fixture(scope="session")
def views(rig: Rig) -> Views:
    """Four key frames of the corridor."""
    return Corridor(rig, frames=4).views()


@pytest.fixture(scope="session")
def result(rig: Rig, views: Views) -> CalibrationResult:
    """The corridor's calibration from thermal cameras 3.5 degrees and 7 % of the focal length off."""
    return calibrate(views, rough(rig, (2.0, -2.5, 1.5), 0.93))
