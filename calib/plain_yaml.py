"""YAML as far as JSON goes: what comes in can be written into every result, whatever else YAML could say."""

import math
from typing import Any

import yaml

MAXIMUM_VALUES = 10_000  # a rig of eight cameras has some 500
MAXIMUM_DEPTH = 20
TEXT = "tag:yaml.org,2002:str"
KEY_TAGS = (TEXT, "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")  # that a mapping knows what to do with


def plain_yaml(text: str) -> Any:
    """The value of a YAML document: mappings with keys of text, lists, text, numbers, booleans and None.

    Dates, and keys that are no text, become the text that they are written as. Raises ValueError that says in one line
    what else was found, or that there are too many values; an alias counts as all that it stands for.
    """
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError) as error:
        raise ValueError(f"not YAML ({' '.join(str(error).split())[:120]})") from error
    _refuse_other(value, "", MAXIMUM_DEPTH)
    return value


class _Loader(yaml.SafeLoader):
    """Counts values while they are parsed, so that a file of millions is refused after the first thousands."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.count = 0
        self.counts: dict[yaml.Node, int] = {}  # values that each node stands for, itself among them

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As PyYAML's, counting; raises YAMLError where there are too many values or one holds itself."""
        before, alias = self.count, self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        assert node is not None
        if alias and node not in self.counts:
            raise yaml.YAMLError("a value that holds itself")
        self.count += self.counts.get(node, 1)
        self.counts.setdefault(node, self.count - before)
        if self.count > MAXIMUM_VALUES:
            raise yaml.YAMLError(f"more than {MAXIMUM_VALUES} values")
        of_key = isinstance(parent, yaml.MappingNode) and index is None
        if of_key and isinstance(node, yaml.ScalarNode) and node.tag not in KEY_TAGS:
            return yaml.ScalarNode(TEXT, node.value, node.start_mark, node.end_mark)
        return node


def _as_written(loader: _Loader, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_written)


def _refuse_other(value: Any, where: str, depth: int) -> None:
    """Raise ValueError for a value that JSON has not, or that is nested deeper than `depth`."""
    if depth == 0:
        raise ValueError(f"{where}: nested deeper than {MAXIMUM_DEPTH}")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_other(item, f"{where}.{key}".lstrip(".")[:120], depth - 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_other(item, f"{where}[{i}]", depth - 1)
    elif not _is_plain(value):
        said = str(value) if isinstance(value, float) else f"of type {type(value).__name__}"
        raise ValueError(f"{where} is {said}; text, finite numbers of 64 bits, true, false, lists, mappings are needed")


def _is_plain(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return value is None or isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))
