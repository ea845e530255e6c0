"""Published datasets, made into ours."""

from pathlib import Path
from typing import Any

from heatnet.dataset_tools.importers.config import ImportConfig
from heatnet.errors import DatasetError

__all__ = ["FORMATS", "ImportConfig", "import_dataset"]
FORMATS = ("pairs", "freiburg", "mfnet")


def import_dataset(format_name: str, root: Path, output: Path, config: ImportConfig | None = None) -> dict[str, Any]:
    """Make the dataset `output` of the files in `root`, laid out as `format_name` says; returns what came of them.

    The summary has "samples" (rows of split, domain, labelled, samples) and "drops" (count by reason). Run again, it
    goes on where it was stopped. Raises DatasetError for an unknown format or anything wrong with a file.
    """
    from heatnet.dataset_tools.importers.freiburg import import_freiburg
    from heatnet.dataset_tools.importers.mfnet import import_mfnet
    from heatnet.dataset_tools.importers.pairs import import_pairs_layout

    importers = {"pairs": import_pairs_layout, "freiburg": import_freiburg, "mfnet": import_mfnet}
    if format_name not in importers:
        raise DatasetError(f"unknown format {format_name!r}; one of {', '.join(FORMATS)} is needed")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    return importers[format_name](root, output, config or ImportConfig())
