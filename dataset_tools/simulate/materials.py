"""What surfaces are made of: how they look, how warm they are, and which class they belong to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.textures import LAYERS

ROAD, SIDEWALK, BUILDING, CURB, FENCE, POLE, VEGETATION, TERRAIN, SKY, PERSON, CAR, BICYCLE, BACKGROUND = range(13)
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """A surface. Temperatures are kelvins above the air."""

    label: int  # class id
    colour: RGB  # albedo, linear
    texture: str = "plain"
    tile_m: float = 4.0  # size of one tile of the texture
    gloss: float = 0.0  # reflectance at normal incidence of the mirror-like part
    emission: RGB = (0.0, 0.0, 0.0)  # radiance of its own light
    markings: bool = False  # lane paint, by street coordinates in uv
    warmth_k: float = 0.0  # own heat, day and night
    gain_k: float = 8.0  # more by day where the full sun shines on it
    kept_k: float = 2.0  # more by night: what it kept of the day
    cooling_k: float = 3.0  # less under the open sky
    patchy_k: float = 0.5  # swing of the texture's temperature
    emissivity: float = 0.95


class MaterialTable:
    """Materials by number, and their columns as arrays."""

    def __init__(self) -> None:
        self._items: list[Material] = []
        self._numbers: dict[Material, int] = {}

    def add(self, material: Material) -> int:
        """The number of a material, new or seen before."""
        if material not in self._numbers:
            self._numbers[material] = len(self._items)
            self._items.append(material)
        return self._numbers[material]

    def columns(self) -> "MaterialColumns":
        """All materials as arrays, one more row at the end for the sky (what number -1 finds)."""
        items = [*self._items, Material(SKY, (0, 0, 0))]

        def column(name: str) -> NDArray[np.float32]:
            return np.array([getattr(m, name) for m in items], np.float32)

        return MaterialColumns(
            np.array([m.label for m in items], np.uint8),
            column("colour"),
            np.array([LAYERS[m.texture] for m in items], np.float32),
            column("tile_m"),
            column("gloss"),
            column("emission"),
            np.array([m.markings for m in items]),
            column("warmth_k"),
            column("gain_k"),
            column("kept_k"),
            column("cooling_k"),
            column("patchy_k"),
            column("emissivity"),
        )


@dataclass(frozen=True)
class MaterialColumns:
    """The fields of Material, an array each, by material number."""

    label: NDArray[np.uint8]
    colour: NDArray[np.float32]
    layer: NDArray[np.float32]
    tile_m: NDArray[np.float32]
    gloss: NDArray[np.float32]
    emission: NDArray[np.float32]
    markings: NDArray[np.bool_]
    warmth_k: NDArray[np.float32]
    gain_k: NDArray[np.float32]
    kept_k: NDArray[np.float32]
    cooling_k: NDArray[np.float32]
    patchy_k: NDArray[np.float32]
    emissivity: NDArray[np.float32]
