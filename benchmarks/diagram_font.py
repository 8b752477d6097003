"""Makes the font of the diagrams: a subset of Noto Sans CJK KR with the characters of `jobs/draw/words.py`.

    python benchmarks/diagram_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

Needs fontTools, which reslearn does not.
"""

from __future__ import annotations

import sys

from fontTools import subset
from fontTools.ttLib import TTCollection

from reslearn.jobs.draw.words import characters
from reslearn.report.diagram import FAMILY, FONT

KOREAN = "Noto Sans CJK KR"


def main(source: str) -> None:
    fonts = {font["name"].getBestFamilyName(): font for font in TTCollection(source).fonts}
    font = fonts[KOREAN]
    options = subset.Options(
        layout_features=["kern"], name_IDs=[0, 1, 2, 3, 4, 6, 13, 14], hinting=False, notdef_outline=True
    )
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=characters())
    subsetter.subset(font)
    for record in font["name"].names:  # a changed version bears another name
        new = {1: FAMILY, 3: f"{FAMILY} Regular", 4: f"{FAMILY} Regular", 6: FAMILY.replace(" ", "") + "-Regular"}
        if record.nameID in new:
            record.string = new[record.nameID]
    top = font["CFF "].cff
    top.fontNames = [FAMILY.replace(" ", "") + "-Regular"]
    font.save(FONT)
    print(f"{FONT}: {FONT.stat().st_size:,} bytes, {len(font.getGlyphOrder())} glyphs")


if __name__ == "__main__":
    main(sys.argv[1])
