"""Values of a JSON file held against the settings that they are for."""

import dataclasses
from typing import Any

from heatnet.errors import TrainingError

_MOST = {int: 2**32, float: 1e300}
_NEEDED = {
    bool: "true or false",
    int: "a whole number below 2**32",
    float: "a finite number",
    str: "a text",
}


def overlaid(base: Any, plain: object, name: str = "") -> Any:
    """The dataclass `base` with the values of the JSON object `plain`, each of the kind of the one it replaces.

    Raises TrainingError for a key that `base` lacks (called `name`.key in messages) and a value of another kind.
    """
    if not isinstance(plain, dict):
        raise _error(name, plain, "an object")
    own = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    values = {}
    for key, value in plain.items():
        path = f"{name}.{key}" if name else key
        if key not in own:
            raise TrainingError(f"key {path!r} is unknown; one of {', '.join(own)} is needed")
        values[key] = _like(path, value, own[key])
    return dataclasses.replace(base, **values)


def _like(name: str, value: object, default: object) -> object:
    if dataclasses.is_dataclass(default):
        return overlaid(default, value, name)
    if isinstance(default, tuple):
        return _tuple_like(name, value, default)
    kind: Any = type(default)
    if not _is(value, kind):
        raise _error(name, value, _NEEDED[kind])
    return kind(value)  # a whole number may stand for another, but the next value given need not be whole


def _tuple_like(name: str, value: object, default: tuple[Any, ...]) -> tuple[object, ...]:
    """As many values as in `default`, of texts any number: a list of names."""
    kind: Any = type(default[0])
    whole = isinstance(value, list) and all(_is(item, kind) for item in value)
    if not isinstance(value, list) or not whole or (kind is not str and len(value) != len(default)):
        count = "" if kind is str else f"{len(default)} times "
        raise _error(name, value, f"a list of {count}{_NEEDED[kind]}")
    return tuple(kind(item) for item in value)


def _is(value: object, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is str:
        return isinstance(value, str)
    kinds = (int,) if kind is int else (int, float)
    return isinstance(value, kinds) and -_MOST[kind] < value < _MOST[kind]


def _error(name: str, value: object, needed: str) -> TrainingError:
    return TrainingError(f"key {name!r} is {value!r:.80}; {needed} is needed")
