"""Molecules as graphs: RDKit reads the SMILES, and its atoms and bonds become whole numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..graph import Graph

# What a column may hold, in the order in which it is numbered. A name that is not in its list
# counts as "OTHER" (or the first of the list), a number out of its range as the nearest end.
_CHIRALITY = (
    "CHI_UNSPECIFIED CHI_TETRAHEDRAL_CW CHI_TETRAHEDRAL_CCW CHI_OTHER CHI_TETRAHEDRAL CHI_ALLENE "
    "CHI_SQUAREPLANAR CHI_TRIGONALBIPYRAMIDAL CHI_OCTAHEDRAL"
).split()
_HYBRIDIZATION = "UNSPECIFIED S SP SP2 SP3 SP3D SP3D2 OTHER".split()
_BOND_TYPE = (
    "UNSPECIFIED SINGLE DOUBLE TRIPLE QUADRUPLE QUINTUPLE HEXTUPLE ONEANDAHALF TWOANDAHALF "
    "THREEANDAHALF FOURANDAHALF FIVEANDAHALF AROMATIC IONIC HYDROGEN THREECENTER DATIVEONE DATIVE "
    "DATIVEL DATIVER OTHER ZERO"
).split()
_STEREO = "STEREONONE STEREOANY STEREOZ STEREOE STEREOCIS STEREOTRANS".split()

_Column = tuple[Callable[[Any], Any], Sequence[Any]]
_ATOM: list[_Column] = [
    (lambda atom: atom.GetAtomicNum(), range(119)),
    (lambda atom: atom.GetChiralTag().name, _CHIRALITY),
    (lambda atom: atom.GetTotalDegree(), range(11)),
    (lambda atom: atom.GetFormalCharge(), range(-5, 7)),
    (lambda atom: atom.GetTotalNumHs(), range(9)),
    (lambda atom: atom.GetNumRadicalElectrons(), range(5)),
    (lambda atom: atom.GetHybridization().name, _HYBRIDIZATION),
    (lambda atom: atom.GetIsAromatic(), range(2)),
    (lambda atom: atom.IsInRing(), range(2)),
]
_BOND: list[_Column] = [
    (lambda bond: bond.GetBondType().name, _BOND_TYPE),
    (lambda bond: bond.GetStereo().name, _STEREO),
    (lambda bond: bond.GetIsConjugated(), range(2)),
]
# How many values each column of x and of edge_attr has.
NUM_ATOM_VALUES = tuple(len(values) for _, values in _ATOM)
NUM_BOND_VALUES = tuple(len(values) for _, values in _BOND)


def rdkit_version() -> str:
    """The version of RDKit, which decides how SMILES are read.

    Raises:
        ImportError: RDKit is not installed.
    """
    try:
        import rdkit
    except ImportError:
        raise ImportError("SMILES are read by RDKit: pip install 'gnnlib[mol]'") from None
    return rdkit.__version__


def from_smiles(smiles: str) -> Graph:
    """The graph of a molecule: its atoms but for hydrogen, and each bond in both directions.

    Every feature is a whole number from 0, to embed or to make one-hot, with those of PyG's
    `from_smiles`. `x` [N, 9] (int64) are atomic number (119 values), chirality (9), degree (11),
    formal charge + 5 (12), hydrogens (9), radical electrons (5), hybridization (8), aromatic (2)
    and in a ring (2). `edge_attr` [E, 3] (int64) are the type of the bond (22), its stereochemistry
    (6) and conjugated (2). What is out of these ranges counts as the nearest end, or as "other".

    Args:
        smiles: the molecule, as RDKit can read it.

    Raises:
        TypeError: `smiles` is no str.
        ValueError: RDKit cannot read it, or it has no atoms.
        ImportError: RDKit is not installed (the extra "mol").

    Example:
        >>> from gnnlib.datasets import from_smiles
        >>> from_smiles("CO")                       # doctest: +SKIP
        Graph(num_nodes=2, num_edges=2, x=[2, 9], edge_attr=[2, 3])
    """
    if not isinstance(smiles, str):
        raise TypeError(f"smiles must be a str, got {type(smiles).__name__}")
    rdkit_version()
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise ValueError(f"smiles must be of a molecule that RDKit can read, got {smiles!r}")
    edges = {}  # (destination, source): features
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        edges[ends] = edges[ends[::-1]] = _row(bond, _BOND)
    order = sorted(edges)
    return Graph(
        torch.tensor(order, dtype=torch.int64).reshape(-1, 2).T.flip(0),
        x=torch.tensor([_row(atom, _ATOM) for atom in molecule.GetAtoms()]),
        edge_attr=torch.tensor([edges[ends] for ends in order]).long().reshape(-1, len(_BOND)),
    )


def _row(item: Any, columns: Sequence[_Column]) -> list[int]:
    return [_number(of(item), values) for of, values in columns]


def _number(value: Any, values: Sequence[Any]) -> int:
    """The place of `value` among `values`."""
    if isinstance(values, range):
        return min(max(int(value), values.start), values.stop - 1) - values.start
    if value in values:
        return values.index(value)
    return values.index("OTHER") if "OTHER" in values else 0
