"""What can go wrong because of the input: each says what was found, where, and what was needed."""


class HeatNetError(Exception):
    """Base of every error that a user can mend; the command line prints it as one line and exits 1."""


class RecordingError(HeatNetError):
    """A recording that is missing, cut off, of another format, or without the topics that were asked for."""


class NoKeyFrameError(RecordingError):
    """A sound recording of which no moment serves a calibration: too dark, lens covered, nothing at the same time."""


class RigError(HeatNetError):
    """A rig file with a missing key or an impossible value."""


class CalibrationError(HeatNetError):
    """Input from which no calibration can be made."""


class DatasetError(HeatNetError):
    """A dataset that is missing, altered, of another version, or without what was asked of it."""


class TrainingError(HeatNetError):
    """A run, checkpoint or configuration that cannot be trained, resumed or evaluated."""
