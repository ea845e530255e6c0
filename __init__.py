"""HeatNet: calibrate thermal cameras without a target, build RGB-thermal datasets, segment by day and by night."""

__version__ = "0.1.0"
