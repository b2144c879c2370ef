"""read_edge_list: what files mean, what is refused, and that pieces do not show."""

import gzip
import random
import re

import numpy as np
import pytest
import torch

from gnnlib import Graph, _edge_lines, edge_list, read_edge_list

TEXT = "0 1\n1 2\n2 0\n0 1\n3 3\n"
EDGES = [(0, 1), (1, 2), (2, 0), (0, 1), (3, 3)]


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes, name: str = "edges.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def edges_of(graph: Graph) -> list[tuple[int, int]]:
    return list(zip(*graph.edge_index.tolist(), strict=True))


def test_each_line_is_an_edge_sorted_by_destination(written):
    graph, ids = read_edge_list(written(TEXT))
    assert graph.validate() is graph
    assert edges_of(graph) == sorted(EDGES, key=lambda edge: edge[1])
    assert ids.dtype == np.int64 and ids.tolist() == [0, 1, 2, 3]
    assert graph.adj.eid is None
    assert torch.equal(graph.adj.ptr, Graph(graph.edge_index, num_nodes=4).adj.ptr)
    assert torch.equal(graph.adj.col, graph.edge_index[0].int())
    assert graph.adj.ptr.dtype == graph.adj.col.dtype == torch.int32


@pytest.mark.parametrize(
    "text",
    [
        "0\t1\n1\t2\n2\t0\n0\t1\n3\t3\n",
        "0,1\n1,2\n2,0\n0,1\n3,3\n",
        "0, 1\n1, 2\n2, 0\n0, 1\n3, 3\n",
        "0;1\n1;2\n2;0\n0;1\n3;3",
        "0 1\r\n1 2\r\n2 0\r\n0 1\r\n3 3\r\n",
        "# a comment\n0 1\n1 2\n% another\n2 0\n\n0 1\n  3   3  \n\n",
        "00 1\n1 002\n2 0\n0 1\n3 3\n",
        "0 1\n1\t2\n2,0\n0 , 1\n3 3\n",
    ],
)
def test_separators_line_ends_comments_and_blank_lines(written, text):
    expected = read_edge_list(written(TEXT, "plain.txt")).graph
    assert edges_of(read_edge_list(written(text)).graph) == edges_of(expected)


def test_a_gzip_file_is_unpacked_whatever_its_name(written):
    graph, _ = read_edge_list(written(gzip.compress(TEXT.encode())))
    assert edges_of(graph) == edges_of(read_edge_list(written(TEXT, "plain.txt")).graph)


def test_a_separator_and_comments_of_ones_own(written):
    graph, _ = read_edge_list(written("// a\n0|1\n1 | 2\n"), separator="|", comments="/")
    assert edges_of(graph) == [(0, 1), (1, 2)]
    with pytest.raises(ValueError, match="separator must be one character, got '::'"):
        read_edge_list(written(TEXT), separator="::")


@pytest.mark.parametrize("largest", [10**3, 10**12])  # by a table of ids, by a search
def test_ids_with_gaps_are_numbered_in_their_order_and_kept(written, largest):
    graph, ids = read_edge_list(written(f"7 {largest}\n100 7\n{largest} 100\n"))
    assert ids.tolist() == [7, 100, largest]
    assert sorted(edges_of(graph)) == [(0, 2), (1, 0), (2, 1)]


def test_texts_are_ids_too(written):
    graph, ids = read_edge_list(written("Ōsaka,Riga\nRiga,Bonn\nBonn,42\n"))
    assert ids.tolist() == ["42", "Bonn", "Riga", "Ōsaka"]
    assert sorted(edges_of(graph)) == [(1, 0), (2, 1), (3, 2)]


def test_texts_may_hold_blanks_where_a_separator_is_given(written):
    _, ids = read_edge_list(written("New York\tRiga\n"), separator="\t")
    assert ids.tolist() == ["New York", "Riga"]


def test_a_header_is_left_out_and_its_loss_is_noticed(written):
    path = written("# first\nsource,target\n0,1\n1,2\n")
    graph, ids = read_edge_list(path, header=True)
    assert edges_of(graph) == [(0, 1), (1, 2)] and ids.dtype == np.int64
    with pytest.raises(ValueError, match="line 2 has names and the next one numbers.*header=True"):
        read_edge_list(path)


def test_num_nodes_keeps_nodes_without_edges(written):
    graph, ids = read_edge_list(written("0 2\n"), num_nodes=5)
    assert graph.num_nodes == 5 and ids.tolist() == [0, 1, 2, 3, 4]
    assert edges_of(graph) == [(0, 2)]
    with pytest.raises(ValueError, match="must have ids below num_nodes=2, got 2"):
        read_edge_list(written("0 2\n"), num_nodes=2)
    with pytest.raises(ValueError, match="num_nodes is for ids that are numbers"):
        read_edge_list(written("a b\n"), num_nodes=2)


def test_undirected_edges_go_both_ways_and_loops_once(written):
    graph, _ = read_edge_list(written("0 1\n1 2\n2 2\n"), directed=False)
    assert sorted(edges_of(graph)) == [(0, 1), (1, 0), (1, 2), (2, 1), (2, 2)]
    assert graph.is_undirected()


@pytest.mark.parametrize("directed", [True, False])
def test_distinct_keeps_one_of_repeated_edges_by_destination_and_source(written, directed):
    draw = random.Random(0)
    edges = [(draw.randrange(20), draw.randrange(20)) for _ in range(500)]
    text = "".join(f"{i} {j} {k}.5\n" for k, (i, j) in enumerate(edges))
    graph, _ = read_edge_list(written(text), distinct=True, weighted=True, directed=directed)
    first: dict[tuple[int, int], float] = {}
    for k, (i, j) in enumerate(edges):
        first.setdefault((i, j), k + 0.5)
    if not directed:
        for k, (i, j) in enumerate(edges):
            first.setdefault((j, i), k + 0.5)
    assert edges_of(graph) == sorted(first, key=lambda edge: edge[::-1])
    assert graph.edge_weight.tolist() == [first[edge] for edge in edges_of(graph)]
    plain, _ = read_edge_list(
        written(re.sub(r" \d+\.5", "", text)), distinct=True, directed=directed
    )
    assert torch.equal(plain.edge_index, graph.edge_index)


@pytest.mark.parametrize("weights", ["0.5 2 1.25", "-0.5 2e3 1.25", "5 6 7"])
def test_weights_follow_their_edges(written, weights):
    a, b, c = weights.split()
    graph, _ = read_edge_list(written(f"0 2 {a}\n1 0 {b}\n2 1 {c}\n"), weighted=True)
    assert edges_of(graph) == [(1, 0), (2, 1), (0, 2)]
    assert graph.edge_weight.dtype == torch.float32
    assert graph.edge_weight.tolist() == [float(b), float(c), float(a)]


def test_a_file_without_edges_is_a_graph_without_nodes(written):
    for text in ("", "# nothing\n", "source target\n"):
        graph, ids = read_edge_list(written(text), header=text.startswith("s"))
        assert (graph.num_nodes, graph.num_edges, len(ids)) == (0, 0, 0)
    weighted = read_edge_list(written(""), weighted=True, num_nodes=3).graph
    assert weighted.edge_weight.shape == (0,) and weighted.num_nodes == 3


@pytest.mark.parametrize("piece", [7, 16, 64])
@pytest.mark.parametrize("packed", [False, True])
def test_pieces_do_not_show(written, monkeypatch, piece, packed):
    text = "# one\n" + "".join(f"{k} {k * k}\n" for k in range(30)) + "\n7 7\n% end\n5 0"
    expected = read_edge_list(written(text, "whole.txt"))
    monkeypatch.setattr(_edge_lines, "PIECE", piece)
    data = text.encode()
    graph, ids = read_edge_list(written(gzip.compress(data) if packed else data))
    assert torch.equal(graph.edge_index, expected.graph.edge_index)
    assert np.array_equal(ids, expected.ids)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("5", {}),
        ("1 2 3", {}),
        ("1 -2", {}),
        ("1 2.0", {}),
        ("1 x", {}),
        ("1 ²", {}),
        ("1,,2", {}),
        ("1 9999999999999999999", {}),
        ("1 2", {"weighted": True}),
        ("1 2 heavy", {"weighted": True}),
        ("1 2 nan", {"weighted": True}),
        ("1 2 1e99", {"weighted": True}),
        ("1.5 2 1", {"weighted": True}),
        ("1 2 ٣", {"weighted": True}),
    ],
)
@pytest.mark.parametrize("before", [0, 3, 1000])
def test_a_malformed_line_is_named(written, line, options, before):
    good = "7 8 0.5\n" if options else "7 8\n"
    path = written(good * before + "7 8 1\n" * bool(options) + "7 8\n" * (not options) + line)
    with pytest.raises(ValueError) as caught:
        read_edge_list(path, **options)
    said = str(caught.value)
    assert f"edges.txt line {before + 2} must hold two ids in [0, 1e+18)" in said
    assert said.endswith(f"got {line!r}")


def test_a_malformed_line_behind_a_piece_has_its_number(written, monkeypatch):
    monkeypatch.setattr(_edge_lines, "PIECE", 16)
    with pytest.raises(ValueError, match="line 41 must hold two ids"):
        read_edge_list(written("# c\n" + "3 4\n" * 39 + "3 4 5\n3 4\n"))


def test_long_lines_are_cut_in_errors_and_endless_ones_refused(written, monkeypatch):
    with pytest.raises(ValueError, match=r"got '1 2 2 2[ 2]*…'"):
        read_edge_list(written("0 1\n1" + " 2" * 1000))
    monkeypatch.setattr(_edge_lines, "PIECE", 100)
    with pytest.raises(ValueError, match="a line of more than 100 bytes"):
        read_edge_list(written("1" * 1000))


def test_a_damaged_gzip_file_is_refused(written):
    data = gzip.compress("".join(f"{k} {k + 1}\n" for k in range(5000)).encode())
    for damaged in (data[:-9], data[: len(data) // 2], data[:100] + b"\0\0\0" + data[103:]):
        with pytest.raises(ValueError, match="is damaged"):
            read_edge_list(written(damaged))


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_edge_list(tmp_path / "none.txt")


def test_damage_gives_a_valid_graph_or_a_typed_error(written):
    draw = random.Random(0)
    data = "".join(f"{draw.randrange(50)}\t{draw.randrange(50)}\n" for _ in range(60)).encode()
    accepted = refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            graph, ids = read_edge_list(written(bytes(damaged)))
        except ValueError as error:
            refused += "edges.txt" in str(error)
        else:
            assert graph.validate() is graph and len(ids) == graph.num_nodes
            accepted += 1
    assert accepted + refused == 300 and refused > 100  # a digit may become another one


def test_the_bar_is_drawn_on_stderr_alone(written, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    graph, _ = read_edge_list(written(TEXT), progress=True)
    out, err = capfd.readouterr()
    assert graph.num_edges == 5 and out == "" and "edges.txt" in err
    read_edge_list(written(TEXT))
    assert capfd.readouterr() == ("", "")


def test_no_number_beyond_int32_is_narrowed():
    part = _edge_lines.Rows(np.array([[2**31, 1]]), [], None)
    assert edge_list._narrow(part).ids.dtype == np.int64
    part = _edge_lines.Rows(np.array([[2**31 - 1, 1]]), [], None)
    assert edge_list._narrow(part).ids.dtype == np.int32
