"""The lines of a CSV, TSV or list file as rows of cells, whatever program wrote it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace

from ...spec.errors import UserError
from .charset import text_file


@dataclass(frozen=True)
class Rows:
    """Cells of the rows that are not empty, the number of each one's line, and a note where characters were guessed."""

    lines: list[int]
    cells: list[list[str]]
    note: str = ""


def read_rows(path: str) -> Rows:
    """Read a table. A row in quotes over several lines has its last one's number.

    `.csv` and `.tsv` go by a comma or tab, or what else parts their first line (Excel writes `;` in many countries, and
    tabs as UTF-16); a list file by its last tab, comma or space, without `#` lines.
    """
    read = text_file(path)
    text = replace(read, text=read.text.replace("\r\n", "\n").replace("\r", "\n"))
    if not path.lower().endswith((".csv", ".tsv")):
        return _list(text.text, text.note)
    first = text.text.lstrip("\n").split("\n", 1)[0]
    if first.lower().startswith("sep=") and len(first) == 5:  # Excel's own line
        separator = first[4]
    else:
        separators = "\t,;|" if path.lower().endswith(".tsv") else ",;\t|"
        separator = next((s for s in separators if s in first), separators[0])
        first = ""
    try:
        reader = csv.reader(io.StringIO(text.text, newline=""), delimiter=separator)
        table = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}: not a readable table ({error})") from None
    table = table[1:] if first else table
    return Rows([number for number, _ in table], [row for _, row in table], text.note)


def _list(text: str, note: str) -> Rows:
    # counted before anything is left out
    numbered = [(i, line.strip()) for i, line in enumerate(io.StringIO(text), 1) if line.strip() and line[0] != "#"]
    numbers, lines = [number for number, _ in numbered], [line for _, line in numbered]
    for separator in ("\t", ","):
        if lines and separator in lines[0]:
            return Rows(numbers, [line.split(separator) for line in lines], note)
    return Rows(numbers, [line.rsplit(maxsplit=1) for line in lines], note)
