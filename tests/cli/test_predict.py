import csv
import json
from pathlib import Path

import pytest
import torch

from gnnlib.train.sources import SOURCES
from tests.cli.program import gnnlib, pairs_graph

RUN = Path("runs/cora-gcn-1")


pytestmark = pytest.mark.usefixtures("runs")


@pytest.fixture
def result() -> dict:
    return json.loads((RUN / "result.json").read_text())


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_each_node_of_the_runs_graph_gets_a_class_and_probabilities():
    done = gnnlib(f"predict {RUN}")
    assert done.exit_code == 0, done.output
    rows = table(RUN / "predictions.csv")
    assert list(rows[0]) == ["node", "prediction", "p_0", "p_1", "p_2"]
    assert [row["node"] for row in rows] == [str(n) for n in range(24)]
    for row in rows:
        probabilities = [float(row[f"p_{label}"]) for label in range(3)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities[int(row["prediction"])] == max(probabilities)


def test_the_accuracies_are_those_of_the_run(result):
    done = gnnlib(f"predict {RUN} --json")
    facts = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (facts["num_nodes"], facts["output"]) == (24, str(RUN / "predictions.csv"))
    assert facts["accuracy"]["test"] == result["test"]["per_run"][result["best_seed"]]
    graph = SOURCES["cora"].load().whole
    predictions = torch.tensor([int(row["prediction"]) for row in table(RUN / "predictions.csv")])
    right = (predictions == graph.y)[graph.test_mask]
    assert right.float().mean().item() == pytest.approx(facts["accuracy"]["test"])
    assert "accuracy of the test nodes: " in gnnlib(f"predict {RUN}").stdout


def test_a_graph_of_ones_own_goes_through_the_runs_transforms():
    graph = pairs_graph().replace(train_mask=None, val_mask=None, test_mask=None)
    graph.save("mine.graph")
    graph.replace(x=3 * graph.x, y=None).save("scaled.graph")  # the transform undoes the scale
    done = gnnlib(f"predict {RUN} --graph mine.graph --output mine.csv")
    assert done.exit_code == 0, done.output
    assert "accuracy of the labelled nodes: " in done.stdout
    done = gnnlib(f"predict {RUN} --graph scaled.graph --output scaled.csv --json")
    assert json.loads(done.stdout)["accuracy"] == {}
    assert Path("mine.csv").read_text() == Path("scaled.csv").read_text()


def test_a_file_that_has_changed_since_the_training_is_not_taken_for_the_runs_graph():
    graph = pairs_graph()
    graph.save("mine.graph")
    done = gnnlib("train --dataset mine.graph --epochs 3 --quiet")
    assert done.exit_code == 0, done.output
    assert gnnlib("predict runs/mine-gcn-1").exit_code == 0
    graph.replace(x=graph.x.flip(0)).save("mine.graph")
    for command in ("predict runs/mine-gcn-1", "plot runs/mine-gcn-1 --kind embedding"):
        done = gnnlib(command)
        assert done.exit_code == 1
        assert "the graph of" in done.stderr and "has changed since" in done.stderr
    assert gnnlib("predict runs/mine-gcn-1 --graph mine.graph").exit_code == 0


def test_nodes_without_a_known_label_are_not_counted():
    graph = pairs_graph().replace(train_mask=None, val_mask=None, test_mask=None)
    y = graph.y.clone()
    y[1:20], y[20:] = -1, 77
    graph.replace(y=y).save("mine.graph")
    facts = json.loads(gnnlib(f"predict {RUN} --graph mine.graph --json").stdout)
    assert facts["accuracy"]["labelled"] in (0, 1)
    graph.replace(y=torch.full_like(y, -1)).save("mine.graph")
    assert json.loads(gnnlib(f"predict {RUN} --graph mine.graph --json").stdout)["accuracy"] == {}


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(24, 5), "as many features as the run's graph, 4; got shape (24, 5)"),
        (torch.full((24, 4), torch.nan), "x must be finite"),
        (-torch.ones(24, 4), "x must not be negative"),
        (None, "NormalizeFeatures needs graph.x"),
    ],
)
def test_a_graph_that_does_not_fit_is_one_error_line(x, message):
    pairs_graph().replace(x=x).save("mine.graph")
    done = gnnlib(f"predict {RUN} --graph mine.graph --output mine.csv")
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("mine.csv").exists()


def test_files_that_are_not_there_or_damaged_are_one_error_line():
    Path("mine.graph").write_bytes(b"{}")
    (RUN / "model.pt").write_bytes(b"nothing")
    for line, message in [
        (f"{RUN} --graph none.graph", "none.graph"),
        (f"{RUN} --graph mine.graph", "mine.graph is not a readable"),
        (f"{RUN}", "model.pt"),
        ("nowhere", "there is no run folder nowhere"),
        (".", ". is no run folder: it has no config.json"),
    ]:
        done = gnnlib(f"predict {line}")
        assert done.exit_code == 1, line
        assert done.stderr.startswith("error: ") and message in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_run_that_is_not_complete_says_how_to_complete_it():
    (RUN / "result.json").unlink()
    done = gnnlib(f"predict {RUN}")
    assert done.exit_code == 1
    assert f"`gnnlib train --resume {RUN}`" in done.stderr


def test_a_run_of_another_gnnlib_that_prepares_the_data_differently_is_refused():
    config = json.loads((RUN / "config.json").read_text())
    (RUN / "config.json").write_text(json.dumps({**config, "transforms": ["Shuffle()"]}))
    done = gnnlib(f"predict {RUN}")
    assert done.exit_code == 1
    assert "cora must be prepared as the run did it, by ['Shuffle()']" in done.stderr


def test_a_full_disk_leaves_the_old_predictions(monkeypatch):
    gnnlib(f"predict {RUN} --output here.csv")
    before = Path("here.csv").read_text()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    done = gnnlib(f"predict {RUN} --output here.csv")
    assert (done.exit_code, done.stderr) == (1, "error: no space left\n")
    assert Path("here.csv").read_text() == before
