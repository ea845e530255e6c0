"""Rigid motions and rotations: the group, its exponential and its logarithm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rigid:
    """A rigid motion between two frames: x_target = rotation @ x_source + translation (metres).

    Named `target_from_source`, so that motions compose by reading: `a_from_c = a_from_b @ b_from_c`.
    """

    rotation: Array  # (3, 3)
    translation: Array  # (3,)

    @staticmethod
    def identity() -> "Rigid":
        """The motion that moves nothing."""
        return Rigid(np.eye(3), np.zeros(3))

    @staticmethod
    def from_matrix(matrix: ArrayLike) -> "Rigid":
        """From a (4, 4) or (3, 4) homogeneous matrix."""
        array = np.asarray(matrix, dtype=np.float64)
        return Rigid(array[:3, :3].copy(), array[:3, 3].copy())

    @property
    def matrix(self) -> Array:
        """The (4, 4) homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, self.translation
        return matrix

    def __matmul__(self, other: "Rigid") -> "Rigid":
        return Rigid(self.rotation @ other.rotation, self.rotation @ other.translation + self.translation)

    def inverse(self) -> "Rigid":
        """The motion back: source_from_target."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.translation)

    def apply(self, points: Array) -> Array:
        """Move (..., 3) points of the source frame into the target frame."""
        return points @ self.rotation.T + self.translation


def skew(vector: Array) -> Array:
    """The (..., 3, 3) matrix of the cross product with (..., 3) vectors."""
    x, y, z = np.moveaxis(vector, -1, 0)
    o = np.zeros_like(x)
    return np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*vector.shape, 3)


def rotation_exp(vector: Array) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,) in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    k = skew(vector)
    if angle < 1e-8:
        return np.eye(3) + k + 0.5 * k @ k
    return np.eye(3) + np.sin(angle) / angle * k + (1 - np.cos(angle)) / angle**2 * k @ k


def rotation_log(rotation: Array) -> Array:
    """Rotation vector (3,) in radians, of length at most pi, of a rotation matrix (3, 3)."""
    quaternion = quaternion_from_rotation(rotation)
    norm = float(np.linalg.norm(quaternion[:3]))
    if norm < 1e-12:
        return 2 * quaternion[:3]
    return 2 * np.arctan2(norm, quaternion[3]) / norm * quaternion[:3]


def quaternion_from_rotation(rotation: Array) -> Array:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3) (largest component first, after Shepperd)."""
    m = rotation
    squares = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
    i = int(np.argmax(squares))
    if i == 3:
        q = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + squares[3]])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.empty(4)
        q[i], q[j], q[k] = 1 + m[i, i] - m[j, j] - m[k, k], m[i, j] + m[j, i], m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    q /= np.linalg.norm(q)
    return q if q[3] >= 0 else -q


def rotation_from_quaternion(quaternion: Array) -> Array:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) as x, y, z, w; they are normalised first."""
    q = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    k = skew(q[..., :3])
    return np.eye(3) + 2 * q[..., 3, None, None] * k + 2 * k @ k


def is_rotation(matrix: Array, tolerance: float = 1e-3) -> bool:
    """Whether a (3, 3) matrix is orthonormal (each entry of R R^T - I below `tolerance`) and right-handed."""
    if not np.isfinite(matrix).all():
        return False
    return bool(np.abs(matrix @ matrix.T - np.eye(3)).max() < tolerance and np.linalg.det(matrix) > 0)


def nearest_rotation(matrix: Array) -> Array:
    """The rotation nearest to a (3, 3) matrix in the Frobenius norm: takes out what rounding in a file put in."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
