"""MoleculeNet: the CSV by files that the tests write, the molecules against PyG and the facts."""

import gzip
import json
import sys
import warnings
from pathlib import Path

import pytest
import torch

from gnnlib import Batch
from gnnlib.datasets import DatasetError, MoleculeNet, from_smiles
from gnnlib.datasets._molecules import _HYBRIDIZATION, _STEREO, _number
from gnnlib.datasets.molecule_net import _TABLES, Table, _cells, parse
from tests.datasets.test_damage import FLIPS, count_refused, flipped

pytest.importorskip("rdkit")

MOLECULES = {
    "ethanol": "CCO",
    "benzene": "c1ccccc1",
    "a salt": "[Na+].[Cl-]",
    "an amino acid": "N[C@@H](C)C(=O)O",
    "its mirror image": "N[C@H](C)C(=O)O",
    "fluorines on two sides": "F/C=C/F",
    "fluorines on one side": "F/C=C\\F",
    "a radical": "[CH3]",
    "one atom": "[Xe]",
    "a charge": "[Cu+2]",
    "a dative bond": "N->[Pt]",
    "many bonds": "FS(F)(F)(F)(F)F",
}
SMALL = Table("classification", 3, ("p", "q"), "small.csv", "", "")
TEXT = 'id,smiles,q,p\n1,CCO,0,1\n"a, b",C1CC,1,0\n3, C ,,1.0\n'


def read(text: str, table: Table = SMALL) -> Batch:
    return parse(text.encode(), table)


@pytest.mark.parametrize("smiles", MOLECULES.values(), ids=MOLECULES)
def test_a_molecule_has_the_features_of_pyg(smiles):
    from tests.pyg import from_smiles as expected

    graph, data = from_smiles(smiles), expected(smiles)
    assert data.edge_index is not None and data.edge_attr is not None
    theirs = (data.edge_index[1] * graph.num_nodes + data.edge_index[0]).argsort()
    assert torch.equal(graph.x, data.x)
    assert torch.equal(graph.edge_index, data.edge_index[:, theirs])
    assert torch.equal(graph.edge_attr, data.edge_attr[theirs])
    assert graph.x.dtype == graph.edge_attr.dtype == torch.int64
    assert graph.adj.eid is None


def test_what_is_out_of_the_ranges_counts_as_the_nearest_end_or_as_other():
    graph = from_smiles("[C-7].[Fe+9]")
    assert graph.x[:, 3].tolist() == [0, 11]
    assert _number("SP2D", _HYBRIDIZATION) == _HYBRIDIZATION.index("OTHER")
    assert _number("STEREOATROPCW", _STEREO) == 0


@pytest.mark.parametrize("smiles", ["C1CC", "", "[Zz]", "C(C)(C)(C)(C)C", "not a molecule"])
def test_smiles_that_cannot_be_read_are_refused_in_silence(smiles, capfd):
    with pytest.raises(ValueError, match="smiles must be of a molecule that RDKit can read, got"):
        from_smiles(smiles)
    assert capfd.readouterr() == ("", "")


def test_smiles_are_text():
    with pytest.raises(TypeError, match="smiles must be a str, got bytes"):
        from_smiles(b"CC")  # pyright: ignore[reportArgumentType]


def test_a_row_is_a_molecule_with_its_tasks_in_order():
    batch = read(TEXT)
    assert [graph.num_nodes for graph in batch] == [3, 1]
    assert batch.graph_row.tolist() == [0, 2]  # row 1 opens a ring and does not close it
    assert batch.graph_y.dtype == torch.float32
    assert batch.graph_y[0].tolist() == [1, 0]
    assert batch.graph_y[1, 0] == 1 and batch.graph_y[1, 1].isnan()
    assert batch[1].graph_y.shape == (1, 2)
    packed = parse(gzip.compress(TEXT.encode()), SMALL._replace(file="small.csv.gz"))
    assert torch.equal(packed.x, batch.x)


def test_a_regression_takes_any_number():
    table = SMALL._replace(kind="regression", tasks=("p",))
    values = ["-.5", "1e-3", "7.", "-12"]
    text = "smiles,p\n" + "".join(f"C,{value}\n" for value in values)
    torch.testing.assert_close(read(text, table).graph_y[:, 0], torch.tensor([-0.5, 1e-3, 7, -12]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "small.csv must have one column 'smiles'"),
        ("smiles,p\nC,1\n", "small.csv must have one column 'q'"),
        ("smiles,p,q,q\nC,1,1,1\n", "small.csv must have one column 'q'"),
        ("smiles,p,q\nC,1,0\nC,1\n", "line 3 must hold 3 cells, as the header does; got 2"),
        ("smiles,p,q\n\n", "line 2 must hold 3 cells, as the header does; got 0"),
        ("smiles,p,q\nC,1,2\n", "line 2 must hold 0 or 1 or nothing, got '2'"),
        ("smiles,p,q\nC,1,nan\n", "line 2 must hold 0 or 1 or nothing, got 'nan'"),
        ("smiles,p,q\nC,1,٣\n", "line 2 must hold 0 or 1 or nothing, got '٣'"),
        ('smiles,p,q\nC,1,"0\n', "line 2 is no CSV: unexpected end of data"),
        ("smiles,p,q\nC1CC,1,0\n", "small.csv holds no molecule"),
        ("smiles,p,q\n", "small.csv holds no molecule"),
    ],
)
def test_a_file_that_is_not_in_the_format_is_named_with_its_line(text, message):
    with pytest.raises(DatasetError, match=f"small.csv.*{message}|^{message}"):
        read(text)


def test_a_number_that_is_none_is_refused():
    table = SMALL._replace(kind="regression", tasks=("p",))
    for cell in ("1e99", "inf", "1_0", "0x1", "1,5"):
        with pytest.raises(DatasetError, match=r"line 2 must hold (a number|2 cells)"):
            read(f"smiles,p\nC,{cell}\n", table)


def test_text_that_is_no_utf_8_is_refused():
    with pytest.raises(DatasetError, match="small.csv line 2 is no UTF-8"):
        parse(b"smiles,p,q\nC\xff,1,1\n", SMALL)


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_in_a_file(flips):
    refused = count_refused(lambda data: parse(data, SMALL), flipped(TEXT.encode(), flips))
    assert 0.3 * flips < refused < flips


def test_without_rdkit_the_extra_is_named(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    for call in (lambda: MoleculeNet("ESOL"), lambda: from_smiles("C")):
        with pytest.raises(ImportError, match=r"RDKit: pip install 'gnnlib\[mol\]'"):
            call()


def test_a_name_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="name must be one of .*'ESOL'.*; got 'esoll'"):
        MoleculeNet("esoll")


# the real files


@pytest.fixture
def real(mirror, cache, monkeypatch) -> Path:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


@pytest.fixture
def facts(mirror) -> dict[str, dict]:
    """What the manifest says of each dataset."""
    records = json.loads((mirror / "MANIFEST.json").read_text())
    files = {record["file"].split("/")[-1]: record for record in records}
    return {name: files[table.file] for name, table in _TABLES.items()}


def test_the_sources_are_those_of_the_manifest(facts):
    for name, table in _TABLES.items():
        record = facts[name]
        repository = "/".join([record["source_repo"], record["commit"], record["source_path"]])
        assert table.url == f"https://raw.githubusercontent.com/{repository}"
        assert table.sha256 == record["sha256"]
        assert table.rows == record["facts"]["molecules"]
        assert len(table.tasks) == record["facts"].get("tasks", 1 + (name == "ClinTox"))


UNREADABLE = {"BBBP": 11, "ClinTox": 4, "Tox21": 8}  # of RDKit 2026.9; other versions may differ
QUICK = {"ESOL", "FreeSolv", "ClinTox"}


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in _TABLES],
)
def test_the_facts_of_the_real_files(name, real, facts):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = MoleculeNet(name.lower())
    fact = facts[name]["facts"]
    skipped = dataset.unreadable_rows
    assert len(dataset) == fact["molecules"] - len(skipped)
    assert len(skipped) == UNREADABLE.get(name, 0)
    batch = dataset._graphs
    assert isinstance(batch, Batch)
    assert batch.x.shape[1] == dataset.num_features == 9
    assert batch.edge_attr.shape == (batch.num_edges, 3)
    assert batch.is_undirected()
    assert batch.graph_y.shape == (len(dataset), dataset.num_classes)
    assert len(dataset.tasks) == dataset.num_classes
    if "label_counts" in fact and not skipped:
        counts = {"0": int((batch.graph_y == 0).sum()), "1": int((batch.graph_y == 1).sum())}
        assert counts == fact["label_counts"]
    if skipped:
        [warning] = caught
        assert f"{name} has {len(skipped)} SMILES" in str(warning.message)
        assert str(warning.message).endswith(", ".join(map(str, skipped)))
        assert warning.filename == __file__
    else:
        assert not caught


def test_the_missing_labels_of_tox21_are_counted(real, facts):
    table = _TABLES["Tox21"]
    data = (real / "biomedical" / "moleculenet" / table.file).read_bytes()
    empty = sum(cell == "" for _, cells in _cells(data, table) for cell in cells[1:])
    assert empty == facts["Tox21"]["facts"]["missing_labels"]


def test_a_cached_dataset_knows_its_rows(real, monkeypatch):
    first = MoleculeNet("FreeSolv")
    monkeypatch.delenv("GNNLIB_MIRROR")
    again = MoleculeNet("FreeSolv")
    assert again.unreadable_rows == first.unreadable_rows == []
    assert again[5].graph_row.tolist() == [5]
    assert again.tasks == ("expt",) and again.kind == "regression"
