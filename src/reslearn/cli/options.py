"""Arguments and options that several commands share, each written once. Choices are those of the values' own types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.settings import Precision
from ..spec.choices import Engine, OnBadFile, Prefer
from ..spec.rule import MOST

KINDS_OF_DATA = "digits, a folder of class folders, a table, an archive ..."
Data = Annotated[str, typer.Argument(metavar="DATA", help=KINDS_OF_DATA)]
MaybeData = Annotated[str | None, typer.Argument(metavar="DATA", help=KINDS_OF_DATA)]
Sealed = Annotated[
    str, typer.Argument(metavar="MODEL", help="A run folder, a sealed file, or an address such as hf://O/R.")
]
Scored = Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, a sealed file, an exported .onnx or .xml.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output and nothing else there.")]
DryRun = Annotated[bool, typer.Option(help="Resolve everything, train nothing.")]

# What is trained
Model = Annotated[str | None, typer.Option(help="A name of `reslearn list`; chosen from data and machine if absent.")]
Network = Annotated[str, typer.Option("--model", help="A name of `reslearn list`.")]
Recipe = Annotated[str | None, typer.Option(help="A name of `reslearn recipes`; chosen likewise if absent.")]
Epochs = Annotated[float | None, typer.Option(help="Budget in epochs instead of the recipe's.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value, any number of times; `reslearn recipes R --fields` lists the fields."),
]
NetAssignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value of the network, any number of times; `reslearn show M --json` has them."),
]
CacheSize = Annotated[str | None, typer.Option(metavar="20GB", help="Bound of the local cache of data at an address.")]
AllowUrls = Annotated[bool, typer.Option("--allow-urls", help="Also open the addresses that a table names.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="RUN", help="The run folder; runs/SET-1, -2, ... if absent.")
]
PageOut = Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write a page (HTML) about it here.")]
ValFraction = Annotated[float, typer.Option(help="Held out of train where the data has no val.")]
ImageSize = Annotated[int | None, typer.Option(help="Side of the input in pixels.")]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|ADDRESS",
        help="Start from these: a file of any known layout, a run folder, hf://OWNER/REPO, torchvision://NAME, "
        "https://...#sha256=..., or default: the best of `reslearn weights`.",
    ),
]
PreferOption = Annotated[
    Prefer | None, typer.Option("--prefer", help="Which of the weights in a file that holds both plain and averaged.")
]
BadFile = Annotated[OnBadFile, typer.Option("--on-bad-file", help="Of one that is skipped, the reason is listed.")]
TrainPrecision = Annotated[Precision | None, typer.Option("--precision", help="Chosen from the machine if absent.")]
LogTo = Annotated[
    list[str] | None,  # of `Tracker`; the parser takes no list of choices
    typer.Option(
        "--log-to",
        metavar="[tensorboard|wandb|mlflow|trackio]",
        help="Tell this board the run's numbers, too; repeatable. Its failures stop nothing.",
    ),
]
ForgetPictures = Annotated[
    bool, typer.Option("--forget-pictures", help="Seal the file without what recognises the pictures it has seen.")
]
GroupRegex = Annotated[
    str | None,
    typer.Option(metavar="REGEX", help="Its first group, in a picture's name, names what must stay together."),
]

# How pictures are scored
ScorePrecision = Annotated[Precision, typer.Option("--precision", help="Part of the result.")]
OwnPrecision = Annotated[
    Precision | None,
    typer.Option("--precision", help="Part of the result; fp32 if absent, or the exported file's own."),
]
EngineOption = Annotated[
    Engine | None, typer.Option("--engine", help="What computes; torch if absent, or the exported file's own.")
]
ChosenEngine = Annotated[
    Engine | None, typer.Option("--engine", help="What computes; chosen by what is here and how many there are.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...; a GPU if absent and there is one.")]
Workers = Annotated[int, typer.Option(min=0, max=MOST, help="Processes that decode pictures.")]
TrainDevice = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1, ...; chosen from the machine if absent.")
]
TrainWorkers = Annotated[
    int | None, typer.Option("--workers", min=0, max=MOST, help="Processes that decode pictures; chosen likewise.")
]
AllowSeen = Annotated[
    bool, typer.Option("--allow-seen", help="Score pictures that the model was trained on, too; the score is marked.")
]
OnlyUnseen = Annotated[
    bool, typer.Option("--only-unseen", help="Leave out pictures that the model was trained on, and score the others.")
]
Cache = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep scores of views here; a run keeps its own in RUN/predictions.")
]
