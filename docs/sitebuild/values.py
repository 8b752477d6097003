"""Run in a page's kernel before its expressions: what is published, what is counted, and how a value becomes text."""

from reslearn.paper.published.claims import TABLES as _TABLES
from reslearn.spec.catalogue import get_spec as _get_spec
from reslearn.spec.cost import cost as _cost


def published(table, row, column=0):
    """The cell of a published table as its paper prints it: `published("p1-table6", "ResNet-20", 2)`."""
    return _TABLES[table].row(row).cells[column]


def parameters(name, **changes):
    """How many trained numbers a network has."""
    return _cost(_get_spec(name, **changes)).parameters


def macs(name, **changes):
    """Its multiply-adds for one picture."""
    return _cost(_get_spec(name, **changes)).macs


def G(number):
    """Billions."""
    return f"{number / 1e9:.2f}"


def M(number):
    """Millions."""
    return f"{number / 1e6:.2f}"


def percent(part, digits=1):
    """A share as a percentage."""
    return f"{100 * part:.{digits}f} %"


def as_text(value, expression):
    """What stands in a page for a value: a text as it is, a count with commas, another number by four figures."""
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{{{{ {expression} }}}} is {value!r}; a page's value is a number or a text")
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{float(value):,.0f}" if 1e4 <= abs(value) < 1e15 else f"{float(value):.4g}"
