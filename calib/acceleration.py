"""Fewer steps to the same place: reweighted least squares alone creeps along weak directions.

Anderson's mixing (1965), as Walker and Ni (2011) write it: the last steps and what they changed tell which combination
of the places so far would not have been left again.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REMEMBERED = 5  # steps
LONGEST = 10.0  # steps in one move
FAINT = 1e-8  # of the largest: differences between steps that are chance


@dataclass
class Acceleration:
    """Turns the steps of one iteration into longer moves."""

    _places: list[Array] = field(default_factory=list)  # the one to come last
    _steps: list[Array] = field(default_factory=list)

    def move(self, step: Array, information: Array) -> Array:
        """The move (P,) to make instead of a `step` (P,); lengths are those of the `information` (P, P)."""
        self._places = self._places[-REMEMBERED - 1 :] or [np.zeros_like(step)]
        self._steps = [*self._steps[-REMEMBERED:], step]
        move = step
        if len(self._steps) > 1:
            places, steps = (np.diff(np.array(rows), axis=0).T for rows in (self._places, self._steps))
            square = steps.T @ information @ steps
            shares = np.linalg.lstsq(square, steps.T @ information @ step, FAINT)[0]
            longer = step - (places + steps) @ shares
            ahead, length = (longer @ information @ other for other in (step, longer))
            if ahead > 0 and length < LONGEST**2 * (step @ information @ step):
                move = longer
            else:  # what was learnt no longer holds: begin again from here
                self._places, self._steps = self._places[-1:], self._steps[-1:]
        self._places.append(self._places[-1] + move)
        return move
