"""The command line: parse, one call, print. What is heavy is imported inside the command."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from heatnet import __version__
from heatnet.errors import HeatNetError

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


class Commands(click.Group):
    """Turns what a user can mend into one message on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HeatNetError as error:
            raise click.ClickException(str(error)) from error
        except ImportError as error:
            raise click.ClickException(_library_message(error)) from error
        except OSError as error:
            if error.filename is None and "cannot open shared object" in str(error):
                raise click.ClickException(_library_message(error)) from error
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from error


def _library_message(error: Exception) -> str:
    text = str(error)
    packages = {"libusb": "libusb-1.0-0", "libGL": "libgl1", "libgomp": "libgomp1"}
    missing = [package for library, package in packages.items() if library in text]
    if missing:
        return f"a system library is missing ({text}); on Debian: sudo apt-get install {' '.join(missing)}"
    return f"a part of the installation is missing ({text}); run: pip install heatnet"


def common(command: Command) -> Command:
    """Add the options that every command has."""
    command = click.option("--seed", type=int, default=0, show_default=True, help="Makes a run repeatable.")(command)
    return click.option("--json", "as_json", is_flag=True, help="A machine-readable summary on stdout.")(command)


def show(summary: dict[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """Print `summary` as JSON, else `lines` for people."""
    if as_json:
        click.echo(json.dumps(summary, indent=1, default=str))
    else:
        for line in lines:
            click.echo(line)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> str:
    """A plain-text table; numbers with three digits."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(*columns, title=title, title_justify="left")
    for row in rows:
        grid.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 140)
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Calibrate thermal cameras, build RGB-thermal datasets, train and evaluate segmentation by day and by night."""
    import logging

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


if __name__ == "__main__":
    main()
