"""MoleculeNet: molecules as SMILES in CSV files, with what was measured of them."""

import csv
import io
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import torch

from .._errors import unknown_choice
from ..batch import Batch
from ..graph import Graph
from ._archive import gunzip
from ._cache import cached, is_cached
from ._dataset import Dataset
from ._download import cache_root, fetch, find
from ._errors import DatasetError
from ._molecules import from_smiles, rdkit_version
from ._text import decoded, shown

_FOLDER = ("biomedical", "moleculenet")
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


class MoleculeNet(Dataset):
    """Molecules with their properties, a graph each.

    =============  =====  =====  ==============  ===========================================
    name           rows   tasks  kind            what
    =============  =====  =====  ==============  ===========================================
    ESOL           1128   1      regression      solubility in water, log mol/l
    FreeSolv       642    1      regression      energy of hydration, kcal/mol
    Lipophilicity  4200   1      regression      octanol/water distribution, log D at pH 7.4
    BBBP           2050   1      classification  does it pass the blood-brain barrier
    BACE           1513   1      classification  does it inhibit β-secretase 1
    Tox21          7831   12     classification  toxicity in 12 assays
    ClinTox        1484   2      classification  approved; failed for toxicity in trials
    SIDER          1427   27     classification  side effects in 27 classes of organs
    =============  =====  =====  ==============  ===========================================

    A graph has `x` [N, 9] and `edge_attr` [E, 3], whole numbers that `from_smiles` explains,
    `graph_y` [1, T] (float32), the values of the T tasks (0 or 1 in a classification, NaN where
    nothing was measured), and `graph_row` [1], its row in the file, counted from 0 below the
    header. `num_classes` is T, the outputs that a model needs.

    SMILES that RDKit cannot read are left out, with a warning; `unreadable_rows` lists their rows.

    Attributes:
        tasks: the names of the T columns of `graph_y`.
        kind: "regression" or "classification".
        unreadable_rows: rows of the file that are not in the dataset.

    Args:
        name: one of the names above, in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        transform: applied once to each graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        ImportError: RDKit is not installed (the extra "mol").
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Wu, Ramsundar, Feinberg, Gomes, Geniesse, Pappu, Leswing and Pande, "MoleculeNet: a
        benchmark for molecular machine learning", Chemical Science 9, 2018.

    Example:
        >>> from gnnlib.datasets import MoleculeNet
        >>> dataset = MoleculeNet("ESOL")           # doctest: +SKIP
        >>> dataset                                 # doctest: +SKIP
        MoleculeNet('ESOL', num_graphs=1128, num_features=9, num_classes=1)
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        names = {known.lower(): known for known in _TABLES}
        key = names.get(str(name).lower())
        if key is None:
            raise unknown_choice("name", name, _TABLES)
        table = _TABLES[key]

        def read() -> Batch:
            path = fetch(*_FOLDER, table.file, table.sha256, [table.url], root)
            return parse(path.read_bytes(), table)

        batch = cached(cache_root(root).joinpath(*_FOLDER), _key(table), read)
        self.tasks = table.tasks
        self.kind = table.kind
        self.unreadable_rows = sorted({*range(table.rows)} - {*batch.graph_row.tolist()})
        if self.unreadable_rows:
            warnings.warn(
                f"{key} has {len(self.unreadable_rows)} SMILES that RDKit cannot read; left out are"
                f" the rows {', '.join(map(str, self.unreadable_rows))}",
                stacklevel=2,
            )
        super().__init__(
            key,
            batch,
            num_classes=len(table.tasks),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def is_at_hand(name: str) -> bool:
    """Whether `MoleculeNet(name)` needs no download: read before, or its file at hand."""
    table = _TABLES[name]
    with suppress(ImportError):  # without RDKit nothing has been read
        if is_cached(cache_root().joinpath(*_FOLDER), _key(table)):
            return True
    return find(*_FOLDER, table.file, table.sha256) is not None


def _key(table: "Table") -> list[str]:
    return [table.sha256, f"rdkit={rdkit_version()}"]


class Table(NamedTuple):
    """One CSV file: where it is, and what is in its columns."""

    kind: str
    rows: int
    tasks: tuple[str, ...]
    file: str
    sha256: str
    url: str


def parse(data: bytes, table: Table) -> Batch:
    """The molecules in the bytes of a CSV file, without those that RDKit cannot read.

    Raises:
        DatasetError: it is not such a CSV, or holds no molecule that can be read.
    """
    if table.file.endswith(".gz"):
        data = gunzip(data, table.file)
    graphs, values, rows = [], [], []
    for row, (line, cells) in enumerate(_cells(data, table)):
        measured = [_value(cell, table, line) for cell in cells[1:]]
        try:
            graphs.append(from_smiles(cells[0].strip()))
        except ValueError:
            continue
        values.append(measured)
        rows.append(row)
    if not graphs:
        raise DatasetError(f"{table.file} holds no molecule")
    return Batch.from_graphs(graphs).replace(
        graph_y=torch.tensor(values), graph_row=torch.tensor(rows)
    )


def _cells(data: bytes, table: Table) -> Iterator[tuple[int, list[str]]]:
    """Line, and the cells of the SMILES and the tasks, of each row."""
    reader = csv.reader(io.StringIO(decoded(data, table.file), newline=""), strict=True)
    try:
        header = next(reader, [])
        wanted = ["smiles", *table.tasks]
        if missing := [name for name in wanted if header.count(name) != 1]:
            raise DatasetError(f"{table.file} must have one column {missing[0]!r}")
        places = [header.index(name) for name in wanted]
        for cells in reader:
            if len(cells) != len(header):
                raise DatasetError(
                    f"{table.file} line {reader.line_num} must hold {len(header)} cells, as the"
                    f" header does; got {len(cells)}"
                )
            yield reader.line_num, [cells[place] for place in places]
    except csv.Error as error:
        raise DatasetError(f"{table.file} line {reader.line_num} is no CSV: {error}") from None


def _value(cell: str, table: Table, line: int) -> float:
    """What was measured; NaN for an empty cell."""
    if cell == "":
        return float("nan")
    value = float(cell) if _NUMBER.fullmatch(cell) else float("inf")
    if table.kind == "classification":
        valid, rule = value in (0, 1), "0 or 1"
    else:
        valid, rule = abs(value) < 1e30, "a number"
    if not valid:
        raise DatasetError(
            f"{table.file} line {line} must hold {rule} or nothing, got {shown(cell)}"
        )
    return value


LICENCE = "MIT, by the LICENSE of the repository of the file, which does not name the data"
CITATION = (
    "Z. Wu, B. Ramsundar, E. N. Feinberg, J. Gomes, C. Geniesse, A. S. Pappu, K. Leswing, "
    "V. Pande. MoleculeNet: a benchmark for molecular machine learning. Chemical Science 9, 2018."
)
_DEEPCHEM = (
    "https://raw.githubusercontent.com/deepchem/deepchem/fbe3b911a94a6eb8c84c1a9e7ac67a472c49ea80/"
)
_COLLECTION = (
    "https://raw.githubusercontent.com/GLambard/Molecules_Dataset_Collection/"
    "beb35cd0b76db5adef6cb1fa55807e4cd309aaed/"
)
_TABLES = {
    "ESOL": Table(
        "regression",
        1128,
        ("measured log solubility in mols per litre",),
        "delaney-processed.csv",
        "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
        _DEEPCHEM + "datasets/delaney-processed.csv",
    ),
    "FreeSolv": Table(
        "regression",
        642,
        ("expt",),
        "FreeSolv_SAMPL.csv",
        "ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72",
        _COLLECTION + "originals/FreeSolv_SAMPL.csv",
    ),
    "Lipophilicity": Table(
        "regression",
        4200,
        ("exp",),
        "Lipophilicity.csv",
        "aed41590cb30609d51d8e08ad3ff06495a76e80e211358801f596b10da69bacd",
        _COLLECTION + "originals/Lipophilicity.csv",
    ),
    "BBBP": Table(
        "classification",
        2050,
        ("p_np",),
        "BBBP.csv",
        "d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662",
        _COLLECTION + "originals/BBBP.csv",
    ),
    "BACE": Table(
        "classification",
        1513,
        ("Class",),
        "bace.csv",
        "d36f089649984f7bfaa4589ccc3ae907b831780a01ccfd065a5b604939e1a5df",
        _COLLECTION + "originals/bace.csv",
    ),
    "Tox21": Table(
        "classification",
        7831,
        (
            "NR-AR",
            "NR-AR-LBD",
            "NR-AhR",
            "NR-Aromatase",
            "NR-ER",
            "NR-ER-LBD",
            "NR-PPAR-gamma",
            "SR-ARE",
            "SR-ATAD5",
            "SR-HSE",
            "SR-MMP",
            "SR-p53",
        ),
        "tox21.csv",
        "7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761",
        _COLLECTION + "originals/tox21.csv",
    ),
    "ClinTox": Table(
        "classification",
        1484,
        ("FDA_APPROVED", "CT_TOX"),
        "clintox.csv",
        "0bd655529cebe6d94addd48b8afdab6fa0438b4503a470866231793f235d7e61",
        _COLLECTION + "originals/clintox.csv",
    ),
    "SIDER": Table(
        "classification",
        1427,
        (
            "Hepatobiliary disorders",
            "Metabolism and nutrition disorders",
            "Product issues",
            "Eye disorders",
            "Investigations",
            "Musculoskeletal and connective tissue disorders",
            "Gastrointestinal disorders",
            "Social circumstances",
            "Immune system disorders",
            "Reproductive system and breast disorders",
            "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
            "General disorders and administration site conditions",
            "Endocrine disorders",
            "Surgical and medical procedures",
            "Vascular disorders",
            "Blood and lymphatic system disorders",
            "Skin and subcutaneous tissue disorders",
            "Congenital, familial and genetic disorders",
            "Infections and infestations",
            "Respiratory, thoracic and mediastinal disorders",
            "Psychiatric disorders",
            "Renal and urinary disorders",
            "Pregnancy, puerperium and perinatal conditions",
            "Ear and labyrinth disorders",
            "Cardiac disorders",
            "Nervous system disorders",
            "Injury, poisoning and procedural complications",
        ),
        "sider.csv.gz",
        "4cc7ccb20dded475853c583596e227116c222c6ca7dbb40159bdbe9ee3f099b9",
        _DEEPCHEM + "examples/sider/sider.csv.gz",
    ),
}
