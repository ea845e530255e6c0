"""A student that begins with what its teachers know."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from heatnet.segmentation.network import Network


def warm_start(student: Network, teachers: Mapping[str, Network]) -> None:
    """Give `student` the weights of teachers of the same backbone and widths: all of one that sees what it sees.

    Else those of teachers of one modality each.
    Where it has a trunk a modality, each trunk comes from its modality's teacher, where there is one. All that lies
    behind comes from the thermal teacher (the RGB teacher for a student of RGB alone) if there is one, with weight zero
    on what the other modality brings: a PSPNet (with `project`, where it has two trunks) begins as that teacher and
    learns from the labels what the other modality is good for. A student of thermal alone takes from a teacher that
    sees both what that one makes of thermal. What fits in no way (the skip of a ResNeXt with two trunks) stays as it
    was.
    """
    modalities = student.config.modalities
    alike = [teacher for teacher in teachers.values() if teacher.config.modalities == modalities]
    if alike and len(modalities) > 1:
        student.load_state_dict(alike[0].state_dict())
        return
    night = teachers.get("thermal")
    teachers = {name: teacher for name, teacher in teachers.items() if teacher.config.modalities == (name,)}
    weights = student.state_dict()
    teacher = teachers.get("thermal" if "thermal" in modalities else "rgb")
    given = {} if teacher is None else teacher.state_dict()
    if teacher is None and night is not None and modalities == ("thermal",):
        teacher, given = night, _thermal_part(night, weights)
    left = () if teacher is None else _left_alone(student, teacher)
    for name, value in given.items():
        if not name.startswith(left):
            _give(weights[name], value)
    for place, names in enumerate(student.config.trunks):
        if len(names) == 1 and names[0] in teachers:
            _copy_trunk(student, weights, place, teachers[names[0]].state_dict())
    student.load_state_dict(weights)


def _left_alone(student: Network, teacher: Network) -> tuple[str, ...]:
    """How names begin of what a teacher does not give: one trunk to two, and a ResNeXt's skip to one of other width.

    Every convolution of that skip has classes and trunks side by side, so that a part of it fits no other.
    """
    own, other = len(student.config.trunks), len(teacher.config.trunks)
    skip = ("fuse.",) if own != other else ()
    return (*(f"{name}." for name in _trunk_parts(student) if own > 1), *skip)


def _trunk_parts(network: nn.Module) -> list[str]:
    """The parts of a network that there are once a trunk."""
    return [name for name, part in network.named_children() if isinstance(part, nn.ModuleList)]


def _give(own: Tensor, given: Tensor) -> None:
    """Copy `given`; where `own` has more input channels, to the last of them (thermal is last), zero to the others."""
    if own.dim() == 1 and len(own) > len(given):
        own[-len(given) :] = given
        return
    if own.shape[:1] != given.shape[:1]:
        return
    if own.shape != given.shape:
        own.zero_()
        own = own[:, -given.shape[1] :]
    own.copy_(given)


def _thermal_part(teacher: Network, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a teacher that sees both: its thermal trunk, and behind it the last input channels, which are thermal's."""
    trunks = "|".join(_trunk_parts(teacher))
    place = re.compile(rf"^({trunks})\.(\d+)\.")
    last = str(len(teacher.config.trunks) - 1)
    part = {}
    for name, value in teacher.state_dict().items():
        trunk = place.match(name)
        own = weights.get(place.sub(r"\1.0.", name))
        if own is not None and (trunk is None or trunk[2] == last):
            channels = tuple(slice(-size, None) for size in own.shape[:2])
            part[place.sub(r"\1.0.", name)] = value[channels]
    return part


def _copy_trunk(student: nn.Module, weights: Mapping[str, Tensor], place: int, teacher: Mapping[str, Tensor]) -> None:
    for part in _trunk_parts(student):
        for name, value in teacher.items():
            if name.startswith(f"{part}.0."):
                weights[name.replace(f"{part}.0.", f"{part}.{place}.", 1)].copy_(value)
