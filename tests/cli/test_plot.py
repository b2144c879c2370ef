from pathlib import Path

import pytest

from tests.cli.program import gnnlib

pytestmark = pytest.mark.usefixtures("runs")


@pytest.mark.parametrize("kind", ["curves", "confusion", "embedding", "attention"])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_every_kind_is_drawn(kind, ending):
    done = gnnlib(f"plot runs/cora-gat-1 --kind {kind} --output picture.{ending}")
    assert (done.exit_code, done.stdout) == (0, f"picture.{ending}\n"), done.output
    start = Path(f"picture.{ending}").read_bytes()[:10]
    assert start.startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_without_options_the_curves_are_drawn_into_the_run():
    curves = Path("runs/cora-gcn-1/curves.png")
    before = curves.read_bytes()
    curves.unlink()
    assert gnnlib("plot runs/cora-gcn-1").stdout == "runs/cora-gcn-1/curves.png\n"
    assert curves.read_bytes() == before  # those that the training has drawn


def test_an_embedding_can_be_laid_out_by_pca():
    for method in ("pca", "tsne"):
        line = f"plot runs/cora-gcn-1 --kind embedding --method {method} -o {method}.svg"
        assert gnnlib(line).exit_code == 0
    assert Path("pca.svg").read_text() != Path("tsne.svg").read_text()


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("runs/cora-gcn-1 --kind attention", 1, "such as GAT; layer 0 of GCN is a GCNConv"),
        ("runs/cora-gat-1 --kind attention --node 24", 1, "node must be in [0, 24), got 24"),
        ("runs/cora-gat-1 --kind attention --layer 2", 1, "one of the model's 2 layers, got 2"),
        ("runs/cora-gat-1 --kind attention --node -1", 2, "--node"),
        ("runs/cora-gat-1 --kind atention", 2, "kind must be one of 'attention', "),
        ("runs/cora-gat-1 --method umap", 2, "method must be one of"),
        ("runs/cora-gat-1 --output curves.doc", 2, "must end in .png, .svg, .pdf"),
        ("runs/cora-gat-7", 1, "there is no run folder runs/cora-gat-7"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(line, code, message):
    done = gnnlib(f"plot {line}")
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1 or code == 2


@pytest.mark.parametrize("text", ["{", "[3]", '[{"seed": 0}]', '{"seed": 0}'])
def test_a_damaged_history_is_one_error_line(text):
    Path("runs/cora-gcn-1/history.json").write_text(text)
    done = gnnlib("plot runs/cora-gcn-1")
    assert done.exit_code == 1
    assert "history.json is damaged" in done.stderr
    assert done.stderr.count("\n") == 1
