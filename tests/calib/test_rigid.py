"""Rigid motions keep the axioms of a group, and rotations survive every representation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heatnet.calib.rigid import (
    Rigid,
    is_rotation,
    nearest_rotation,
    quaternion_from_rotation,
    rotation_exp,
    rotation_from_quaternion,
    rotation_log,
    skew,
)

VECTOR = arrays(np.float64, 3, elements=st.floats(-1.8, 1.8))
QUICK = settings(max_examples=40, deadline=None)


def motion(turn: np.ndarray, shift: np.ndarray) -> Rigid:
    return Rigid(rotation_exp(turn), shift)


@QUICK
@given(VECTOR, VECTOR, VECTOR, VECTOR)
def test_motions_compose_as_they_are_applied(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> None:
    first, second, point = motion(a, b), motion(c, d), np.array([[0.3, -2.0, 5.0]])
    assert np.allclose((second @ first).apply(point), second.apply(first.apply(point)))
    assert np.allclose((second @ first).matrix, second.matrix @ first.matrix)


@QUICK
@given(VECTOR, VECTOR)
def test_a_motion_and_its_inverse_cancel(turn: np.ndarray, shift: np.ndarray) -> None:
    there = motion(turn, shift)
    assert np.allclose((there @ there.inverse()).matrix, np.eye(4), atol=1e-12)
    assert np.allclose((there.inverse() @ there).matrix, np.eye(4), atol=1e-12)


@QUICK
@given(VECTOR)
def test_logarithm_undoes_exponential_within_half_a_turn(turn: np.ndarray) -> None:
    if np.linalg.norm(turn) < np.pi - 1e-3:
        assert np.allclose(rotation_log(rotation_exp(turn)), turn, atol=1e-9)


def test_logarithm_of_half_a_turn_has_length_pi() -> None:
    for axis in np.eye(3):
        assert np.isclose(np.linalg.norm(rotation_log(rotation_exp(np.pi * axis))), np.pi)


def test_tiny_rotations_keep_their_direction() -> None:
    turn = np.array([1e-12, -2e-12, 3e-12])
    assert np.allclose(rotation_log(rotation_exp(turn)), turn, rtol=1e-3, atol=0)


@QUICK
@given(VECTOR)
def test_a_quaternion_says_the_same_rotation(turn: np.ndarray) -> None:
    rotation = rotation_exp(turn)
    quaternion = quaternion_from_rotation(rotation)
    assert quaternion[3] >= 0
    assert np.allclose(rotation_from_quaternion(quaternion), rotation, atol=1e-12)
    assert np.allclose(rotation_from_quaternion(-2.5 * quaternion), rotation, atol=1e-12)


def test_the_skew_matrix_is_the_cross_product() -> None:
    a, b = np.array([1.0, 2.0, -3.0]), np.array([0.5, -1.0, 4.0])
    assert np.allclose(skew(a) @ b, np.cross(a, b))


def test_mirrors_shears_and_nan_are_no_rotations() -> None:
    shear = np.eye(3)
    shear[0, 1] = 0.01
    broken = np.full((3, 3), np.nan)
    assert not any(is_rotation(m) for m in (np.diag([1.0, 1.0, -1.0]), shear, 2 * np.eye(3), broken))
    assert is_rotation(nearest_rotation(shear), 1e-12)
