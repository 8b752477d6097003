"""The papers' printed numbers as data: `TABLES` by name, `CLAIMS` one per number. Nothing here is typed twice.

The cells stand in `published/`, one module per paper (P1 to P5), as printed. The documentation's tables, the static
check, the experiments and the report all read them from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..published import p1, p2, p3, p4, p4_ablations, p5, texts
from .tables import COUNTED, ERRORS, Claim, Table, expand

PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "P1": "He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        "P2": "He et al., Identity Mappings in Deep Residual Networks, arXiv 1603.05027",
        "P3": "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, arXiv 1611.05431",
        "P4": "Hu et al., Squeeze-and-Excitation Networks, arXiv 1709.01507",
        "P5": "Zagoruyko and Komodakis, Wide Residual Networks, arXiv 1605.07146",
    }
)
TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for paper in (p1, p2, p3, p4, p4_ablations, p5, texts) for table in paper.TABLES}
)
CLAIMS: tuple[Claim, ...] = tuple(claim for table in TABLES.values() for claim in expand(table))


def errors(table: str) -> list[Claim]:
    """The published errors of a table: what training can check."""
    return [claim for claim in CLAIMS if claim.table == table and claim.quantity in ERRORS]


def static() -> list[Claim]:
    """The published sizes and costs: what arithmetic can check."""
    return [claim for claim in CLAIMS if claim.quantity in COUNTED]
