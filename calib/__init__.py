"""Geometry of a rig, and its calibration without a target."""
