"""What the benchmarks conclude from their numbers, and the graphs they draw."""

import json
import time

import pytest
import torch

from benchmarks import cases, conclusion, gates, graphs, scaling, timing


def row(graph: str, nodes: int, **seconds: float) -> cases.Row:
    times = {"gnnlib": 1.0} | {name.replace("_", "."): value for name, value in seconds.items()}
    kind = {"case": "sum", "size": "F=64", "pass": cases.FORWARD}
    return {"graph": graph, "nodes": nodes, "edges": 1, "seconds": times, "failed": {}} | kind


def test_a_gate_holds_on_every_large_graph_and_an_aim_in_the_mean():
    rows = [row("a", 200_000, DGL=4.0), row("b", 100_000, DGL=1.0), row("c", 99_999, DGL=0.5)]
    (line,) = gates.by_peer(rows)
    assert (line["large graphs"], line["small graphs"]) == (pytest.approx(2.0), 0.5)
    assert line["least, large"] == "1 (b, F=64)"
    assert line["verdict"] == "gate met, aim met"
    (line,) = gates.by_peer([*rows, row("d", 200_000, DGL=0.9)])
    assert line["verdict"] == "gate MISSED, aim met"
    (line,) = gates.by_peer(rows[1:])
    assert line["verdict"] == "gate met, aim missed"


def test_on_small_graphs_the_fastest_peer_counts():
    rows = [row("a", 100, DGL=4.0, PyG=0.9), row("b", 100, DGL=3.0), row("c", 10**6, DGL=0.1)]
    rows[0]["seconds"]["gnnlib, fp32"] = 0.1  # no other library
    (line,) = gates.small_graphs(rows)
    assert line["least"] == "0.9 (a, F=64)"
    assert line["below 1"] == "1 of 2"
    assert line["verdict"] == "gate MISSED, aim missed"


def test_the_slope_is_that_of_a_power():
    edges = [10, 100, 1000, 10_000]
    assert scaling.slope(edges, [3 * e**1.2 for e in edges]) == pytest.approx(1.2)


def test_rounds_go_on_for_some_time_but_not_beyond_a_number():
    calls = []
    timing.interleave({"a": lambda: calls.append(1)}, rounds=3, warm_up=1, seconds=60, most=20)
    assert len(calls) == 1 + 2 * 20  # the warm-up, and a call that is not timed before each
    timing.interleave({"a": lambda: calls.append(1)}, rounds=3, warm_up=0)
    assert len(calls) == 41 + 2 * 3


def test_long_calls_have_no_untimed_ones_and_sides_take_turns_in_every_order():
    calls = []
    sides = {name: lambda name=name: (calls.append(name), time.sleep(0.021)) for name in "abc"}
    timing.interleave(sides, rounds=8, warm_up=1)
    assert len(calls) == 3 + 3 * 8
    rounds = {tuple(calls[k : k + 3]) for k in range(3, len(calls), 3)}
    assert all(sorted(one) == list("abc") for one in rounds)
    assert len(rounds) > 1


def test_symmetric_graphs_have_each_edge_once_in_both_directions():
    drawn = graphs.Edges("drawn", graphs.uniform(50, 400), 50)
    edges = drawn.symmetric()
    assert 0 < edges.num_edges <= drawn.num_edges
    pairs = set(zip(*edges.edge_index.tolist(), strict=True))
    assert len(pairs) == edges.num_edges
    assert all(a != b and (b, a) in pairs for a, b in pairs)
    kept = edges.symmetric()
    assert torch.equal(kept.edge_index, edges.edge_index)


def test_molecules_are_separate_and_have_few_bonds():
    edge_index = graphs.molecules(20)
    assert (edge_index[0] != edge_index[1]).all()
    assert (edge_index[0] - edge_index[1]).abs().max() < 38
    degree = edge_index[1].bincount()
    assert degree.min() >= 1
    assert 2 <= degree.double().mean() <= 2.6


def test_the_conclusion_is_written_between_its_marks(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{conclusion.BEGIN}\nold\n{conclusion.END}\nafter\n")
    stamp = {"date": "2026-01-02", "cpu": "a machine"}
    record = {"title": "Operators", "command": "bench ops", "stamp": stamp, "notes": []}
    record["rows"] = [row("a", 200_000, DGL=4.0)]
    (tmp_path / "ops.json").write_text(json.dumps(record))
    monkeypatch.setattr(conclusion, "folder", tmp_path)
    monkeypatch.setattr(conclusion, "README", readme)
    for _ in range(2):  # writing it again changes nothing
        conclusion.main()
        text = readme.read_text()
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "old" not in text
        assert "date 2026-01-02, cpu a machine" in text
        assert "1 of 1 gates met." in text
        assert text.count("### Operators") == 1
        missing = "layers, scatter, training, memory, loader, scaling, accuracy, edge_list, loading"
        assert f"Not measured yet: {missing}." in text


def test_single_entries_of_a_gradient_may_differ_and_those_of_a_result_may_not():
    result = torch.linspace(-1, 1, 64_000).reshape(1000, 64)
    other = result.clone()
    other[3, 4] += 0.05
    assert cases.difference([result, result], [result, other], 1e-3) is None
    assert cases.difference([result], [other], 1e-3) == "differs: by up to 0.05"
    assert cases.difference([result, result], [result, result + 0.01], 1e-3) is not None
    assert cases.difference([result], [result[:5]], 1e-3) is not None
