"""Summaries as lines of text for people."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heatnet.dataset_tools.inspect_dataset import DatasetSummary
    from heatnet.dataset_tools.inspect_recording import RecordingSummary


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain-text table; numbers with three digits, nothing where there is none."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    grid = Table(*columns, box=SIMPLE)
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 140)
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def recording_lines(summary: "RecordingSummary") -> Iterator[str]:
    """Head, one row a topic, transforms, warnings."""
    yield (
        f"{summary.path}: {summary.format}, {summary.size_bytes} bytes, {summary.messages} messages, "
        f"{summary.duration_s:.3f} s from {summary.start_utc}"
    )
    yield table(["topic", "type", "count", "rate", "largest gap", "content"], summary.rows())
    for frame in summary.frames:
        rate = f", {frame.rate_hz:.3g} Hz" if frame.rate_hz else ""
        yield f"frame {frame.child} in {frame.parent}: {frame.count}{rate}"
    yield from (f"! {warning}" for warning in summary.warnings)


def dataset_lines(summary: "DatasetSummary") -> Iterator[str]:
    """Head, one row a split and domain, the classes' shares, what was left out and why."""
    width, height = summary.size
    yield f"{summary.path}: {width}x{height}, {summary.shards} shards, {summary.bytes} bytes"
    columns = ["split", "domain", "samples", "labelled", "labels by", "sun (deg)", "thermal covers"]
    yield table(
        columns,
        (
            (g.split, g.domain, g.samples, g.labelled, ", ".join(g.label_sources), _span(g.sun_elevation_deg), g.valid)
            for g in summary.groups
        ),
    )
    names = sorted({name for group in summary.groups for name in group.classes})
    if names:
        groups = [f"{group.split}, {group.domain}" for group in summary.groups]
        rows = ([name, *(group.classes.get(name, 0.0) for group in summary.groups)] for name in names)
        yield table(["share of pixels", *groups], rows)
    yield from drop_lines(summary.drops)


def drop_lines(drops: dict[str, int]) -> list[str]:
    """One line a reason why frames were left out."""
    return [f"left out: {count} ({reason})" for reason, count in drops.items()]


def score_lines(summary: dict[str, Any]) -> Iterator[str]:
    """One table of mean IoU a model and domain, and one of IoU a class."""
    parts = [part for part in ("day", "night", "combined", "pooled") if summary.get(part)]
    models = summary["models"]
    yield table(["mean IoU", *parts], ([name, *(s[part]["miou"] for part in parts)] for name, s in models.items()))
    columns = [(name, part) for part in parts if part in ("day", "night") for name in models]
    rows = ([c, *(models[n][p]["iou"].get(c) for n, p in columns)] for c in summary["classes_scored"])
    yield table(["IoU", *(f"{part}: {name}" for name, part in columns)], rows)


def several_lines(summary: dict[str, Any]) -> Iterator[str]:
    """One table of mean IoU a model over several runs: mean and spread."""
    parts = ("day", "night", "combined", "pooled")
    rows = ([name, *(_with_spread(by_part[part]) for part in parts)] for name, by_part in summary["summary"].items())
    yield table([f"mean IoU of {len(summary['runs'])} runs", *parts], rows)


def _with_spread(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return ""
    spread = "" if found["spread"] is None else f" ± {found['spread']:.3f}"
    return f"{found['mean']:.3f}{spread}"


def _span(bounds: tuple[float, float] | None) -> str:
    return "unknown" if bounds is None else f"{bounds[0]:.1f} to {bounds[1]:.1f}"
