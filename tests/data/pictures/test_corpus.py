"""Some 2,000 generated files against other readers: equal within a grey level (2 on average where lossy), or refused by
name. None wrong."""

import re
import warnings

import numpy as np
import pytest

from reslearn.data.formats.decode import decode_bytes
from reslearn.spec.errors import UserError

pytest.importorskip("tifffile", reason="needs tifffile: pip install tifffile")
pytest.importorskip("imagecodecs", reason="needs imagecodecs: pip install imagecodecs")

from .corpus import libtiff, metadata, others, tiffs

FAMILIES = {  # generator -> (files at least, of them to be refused)
    tiffs.tiffs: (490, 40),
    tiffs.packed_tiffs: (390, 0),
    tiffs.tiff_refusals: (85, 85),
    tiffs.odd_tags: (80, 30),
    libtiff.tiffs_by_libtiff: (105, 0),
    libtiff.damaged_tiffs: (78, 78),
    others.pngs: (140, 0),
    metadata.orientations: (370, 0),
    others.jpegs: (50, 5),
    others.jpeg2000s: (60, 1),
    others.pnms: (36, 2),
    others.by_other_programs: (60, 0),
    others.other_kinds: (14, 14),
    others.damaged: (60, 60),
}


def judged(case):
    """What is wrong with our reading of a file; an empty string where nothing is."""
    try:
        got = decode_bytes(case.raw, "the/file")
    except UserError as error:
        line = str(error)
        if "with this build of Pillow" in line:
            return ""  # of Zstandard; named, at least
        if case.want is not None:
            return f"refused: {line}"
        named = line.startswith("the/file: ") and "\n" not in line and re.search(case.says, line)
        return "" if named else f"refused for another reason: {line}"
    if case.want is None:
        return "read, and must be refused"
    if got.dtype != np.uint8 or got.shape != case.want.shape:
        return f"{got.dtype} {got.shape} instead of {case.want.shape}"
    off = np.abs(got - case.want)
    return (
        ""
        if (off.mean() <= 2 if case.lossy else off.max() <= 1)
        else f"{off.mean():.1f} levels off, {off.max():.0f} at most"
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_every_file_is_read_as_meant_or_refused_by_name(family):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = list(family())
    assert len({case.name for case in cases}) == len(cases), "two files of one name"
    files, refused = FAMILIES[family]
    assert len(cases) >= files and sum(case.want is None for case in cases) >= refused
    assert {case.name: wrong for case in cases if (wrong := judged(case))} == {}
