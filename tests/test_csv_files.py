"""read_csv: what the cells of two files mean, what is refused, and where."""

import gzip
import random

import numpy as np
import pytest
import torch

from gnnlib import Graph, GraphFileError, _edge_lines, read_csv

NODES = (
    "name,age,member,job,town,part\n"
    "eve,31,true,cook,Riga,train\n"
    "ann,44.5,False,smith,Bonn,val\n"
    "zoe,-2e1,TRUE,,Riga,\n"
    "bob,7,false,cook,Oslo,test\n"
)
EDGES = "who,whom,years,how\nann,bob,2,well\nbob,eve,0.5,badly\nzoe,zoe,1,well\n"


@pytest.fixture
def read(written):
    """read_csv of two texts; of NODES with their label and split."""

    def call(edges: str | bytes = EDGES, nodes: str | bytes | None = NODES, **arguments):
        other = None if nodes is None else written(nodes, "nodes.csv")
        if nodes is NODES:
            arguments = {"label": "job", "split": "part", **arguments}
        return read_csv(written(edges, "edges.csv"), other, **arguments)

    return call


def test_nodes_stand_in_the_order_of_their_lines_and_edges_too(read):
    graph, ids, classes, features = read(edge_weight="years")
    assert ids.tolist() == ["eve", "ann", "zoe", "bob"]
    assert graph.edge_index.tolist() == [[1, 3, 2], [3, 0, 2]]
    assert graph.edge_weight.tolist() == [2, 0.5, 1]
    assert features == ("age", "member", "town=Bonn", "town=Oslo", "town=Riga")
    assert graph.x.dtype == torch.float32
    assert graph.x.tolist() == [
        [31, 1, 0, 0, 1],
        [44.5, 0, 1, 0, 0],
        [-20, 1, 0, 0, 1],
        [7, 0, 0, 1, 0],
    ]
    assert classes is not None and classes.tolist() == ["cook", "smith"]
    assert graph.y.tolist() == [0, 1, -1, 0] and graph.y.dtype == torch.int64
    chosen = [
        graph[f"{part}_mask"].nonzero().flatten().tolist() for part in ("train", "val", "test")
    ]
    assert chosen == [[0], [1], [3]]


def test_without_nodes_they_are_the_ends_in_sorted_order(read):
    graph, ids, classes, features = read(nodes=None)
    assert ids.tolist() == ["ann", "bob", "eve", "zoe"]
    assert graph.edge_index.tolist() == [[0, 1, 3], [1, 2, 3]]
    assert (classes, features, list(graph.keys())) == (None, (), [])
    graph, ids, *_ = read("a,b\n70,-3\n-3,1000000000000\n", None)
    assert ids.dtype == np.int64 and ids.tolist() == [-3, 70, 10**12]
    assert graph.edge_index.tolist() == [[1, 0], [0, 2]]


def test_a_graph_of_one_direction_or_both(read):
    graph, *_ = read(directed=False, edge_weight="years", edge_attr=["years", "how"])
    assert graph.edge_index.tolist() == [[1, 3, 2, 3, 0], [3, 0, 2, 1, 3]]
    assert graph.is_undirected() and graph.edge_weight.tolist() == [2, 0.5, 1, 2, 0.5]
    assert graph.edge_attr[:, 0].tolist() == graph.edge_weight.tolist()
    assert graph.edge_attr[:, 1].tolist() == [0, 1, 0, 0, 1]
    assert read(edge_attr="years").graph.edge_attr.tolist() == [[2], [0.5], [1]]


def test_ends_are_found_by_name_or_place(read):
    ends = [[1, 3, 2], [3, 0, 2]]
    text = "kind,target,source\nx,bob,ann\nx,eve,bob\nx,zoe,zoe\n"
    assert read(text).graph.edge_index.tolist() == ends
    assert read(text.replace("source", "of").replace("target", "to"), source="of", target="to")
    with pytest.raises(ValueError, match="source and target go together, got 'who' and None"):
        read(source="who")
    with pytest.raises(
        ValueError, match=r"target must name a column of .*edges.csv, whose columns"
    ):
        read(source="who", target="x")
    with pytest.raises(ValueError, match="its first column has no name; source= and target= name"):
        read(",from,to\n0,ann,bob\n")
    with pytest.raises(ValueError, match="it has one column"):
        read("from\nann\n")


def test_the_id_is_the_first_column_or_a_named_one(read):
    nodes = "age,key\n3,ann\n4,bob\n5,eve\n6,zoe\n"
    graph, ids, _, features = read(nodes=nodes, node_id="key")
    assert ids.tolist() == ["ann", "bob", "eve", "zoe"] and features == ("age",)
    assert graph.x.flatten().tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("nodes", "edges", "expected"),
    [
        ("id\n10\n2\n", "a,b\n2,10\n", [10, 2]),
        ("id\n10\nx\n", "a,b\n10,10\n", ["10", "x"]),  # one text makes texts of all
        ("id\n007\n7\n", "a,b\n7,007\n", ["007", "7"]),  # and a number not as Python writes it
        ("id\n1.0\n1\n", "a,b\n1,1.0\n", ["1.0", "1"]),
    ],
)
def test_ids_are_integers_if_all_are(read, nodes, edges, expected):
    graph, ids, *_ = read(edges, nodes)
    assert ids.tolist() == expected
    assert graph.num_edges == 1


def test_labels_of_every_kind_are_numbered_in_their_order(read):
    def labels(cells):
        text = "id,l\n" + "".join(f"{k},{cell}\n" for k, cell in enumerate(cells))
        graph, _, classes, _ = read("a,b\n0,1\n", text, label="l")
        assert classes is not None
        return classes.tolist(), graph.y.tolist()

    assert labels(["10", "9", "-1", "9"]) == ([-1, 9, 10], [2, 1, 0, 1])
    assert labels(["3", "", "2.0"]) == ([2, 3], [1, -1, 0])
    assert labels(["true", "False", "nan"]) == ([False, True], [1, 0, -1])
    assert labels(["b", "a", "10", "9"]) == (["10", "9", "a", "b"], [3, 2, 0, 1])
    with pytest.raises(ValueError, match=r"nodes.csv line 3: label 'l' must be .* got 2.5"):
        labels(["3", "2.5"])
    with pytest.raises(ValueError, match="all 2 cells of 'l' are empty"):
        labels(["", "nan"])


def test_columns_of_masks_are_masks_and_no_features(read):
    nodes = "id,a,train_mask,val_mask,l\n0,5,true,false,x\n1,6,False,true,\n2,7,true,false,y\n"
    graph, _, _, features = read("a,b\n0,1\n", nodes, label="l")
    assert features == ("a",) and "test_mask" not in graph
    assert graph.train_mask.tolist() == [True, False, True]
    assert graph.val_mask.tolist() == [False, False, False]  # node 1 has no label
    numbers = nodes.replace("true", "1").replace("False", "0").replace("false", "0")
    assert torch.equal(read("a,b\n0,1\n", numbers, label="l").graph.train_mask, graph.train_mask)
    with pytest.raises(ValueError, match="split='l' and the column 'train_mask' .* both say"):
        read("a,b\n0,1\n", nodes, split="l")
    with pytest.raises(ValueError, match="line 3: 'train_mask' must be true or false .* got 2"):
        read("a,b\n0,1\n", "id,train_mask\n0,1\n1,2\n")
    with pytest.raises(ValueError, match="line 2: 'train_mask' must be true or false .* got yes"):
        read("a,b\n0,1\n", "id,train_mask\n0,yes\n1,no\n")


def test_features_are_chosen_and_numbers_can_be_categories(read):
    nodes = "id,zip,age,note\n0,10,1,x\n1,9,2,y\n2,10,3,\n"
    graph, _, _, names = read("a,b\n0,1\n", nodes, features=["age", "zip"], categories=["zip"])
    assert names == ("age", "zip=9", "zip=10")
    assert graph.x.tolist() == [[1, 0, 1], [2, 1, 0], [3, 0, 1]]
    assert "x" not in read("a,b\n0,1\n", nodes, features=[]).graph
    for argument in ("features", "categories"):
        with pytest.raises(ValueError, match=f"{argument} must name a column .* got 'size'"):
            read("a,b\n0,1\n", nodes, **{argument: ["size"]})
        with pytest.raises(TypeError, match=f"{argument} must be a list of columns"):
            read("a,b\n0,1\n", nodes, **{argument: "age"})


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n\n" + text.replace("\n", "\n\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("Riga", '"Riga"'),
        lambda text: gzip.compress(text.encode()),
    ],
)
def test_the_forms_of_csv_mean_the_same(read, change):
    expected = read()
    found = read(change(EDGES), change(NODES), label="job", split="part")
    assert found.features == expected.features and found.ids.tolist() == expected.ids.tolist()
    assert torch.equal(found.graph.edge_index, expected.graph.edge_index)
    for name, value in expected.graph.items():
        assert torch.equal(found.graph[name], value)


def test_a_quoted_cell_may_hold_separators_quotes_and_lines(read):
    nodes = 'id,t,n\n0,"a, ""b""",1\n1,"two\nlines",2\n2,c,\n'
    _, _, _, names = read("a,b\n0,1\n", nodes, features=["t"])
    assert names == ('t=a, "b"', "t=c", "t=two\nlines")
    with pytest.raises(ValueError, match="nodes.csv line 5: 'n' is missing"):
        read("a,b\n0,1\n", nodes)
    assert read("a|b\n0|1\n", "id|t\n0|x,5\n1|y,5\n", separator="|").features == ("t=x,5", "t=y,5")
    with pytest.raises(ValueError, match="separator must be one character, got '::'"):
        read(separator="::")


@pytest.mark.parametrize("cell", ["1e400", "-1e39", "inf", "-Infinity", "nan", "NaN", ""])
@pytest.mark.parametrize("before", [0, 5])
def test_a_feature_that_is_not_finite_is_named(read, cell, before):
    nodes = "id,size\n" + "".join(f"{k},{k}.5\n" for k in range(before)) + f"{before},{cell}\n"
    with pytest.raises(ValueError) as caught:
        read("a,b\n0,0\n", nodes)
    said = str(caught.value)
    assert f"nodes.csv line {before + 2}: 'size' " in said
    assert ("is missing" if cell in ("", "nan", "NaN") else "must be a finite number") in said


@pytest.mark.parametrize("cell", ["1_000", "٣", "abc", "1,5", "--1"])
def test_one_text_in_a_column_of_numbers_is_named(read, cell):
    nodes = f'id,size\n0,1\n1,2\n2,"{cell}"\n3,3\n'
    with pytest.raises(
        ValueError, match=r"line 4: 'size' is the text .* but line 2 has the number 1"
    ):
        read("a,b\n0,1\n", nodes)
    names = read("a,b\n0,1\n", nodes, categories=["size"]).features
    assert set(names) == {"size=1", "size=2", "size=3", f"size={cell}"}


def test_too_many_categories_are_refused_by_name(read):
    def nodes(count):
        return "id,name\n" + "".join(f"{k},n{k % count}\n" for k in range(300))

    assert len(read("a,b\n0,1\n", nodes(256)).features) == 256
    with pytest.raises(ValueError, match="'name' of .* at most 256 categories.* got 257"):
        read("a,b\n0,1\n", nodes(257))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (EDGES + "ann,kim,1,well\n", r"edges.csv line 5: the target 'kim' is no id of .*nodes.csv"),
        (EDGES + ",ann,1,well\n", "edges.csv line 5: the source is missing"),
        (EDGES.replace("0.5", "-0.5"), "line 3: the weight 'years' must be 0 or more, got -0.5"),
        (EDGES.replace("0.5", "nan"), "line 3: the weight 'years' is missing"),
        (EDGES.replace("0.5", "1e999"), "line 3: 'years' must be a finite number"),
        (EDGES.replace("years,", "time,"), "edge_weight must name a column of .* got 'years'"),
        ("a,b,years\n", "edges.csv must have edges, got no row"),
    ],
)
def test_edges_that_cannot_be_are_named(read, edges, message):
    with pytest.raises(ValueError, match=message):
        read(edges, edge_weight="years")


def test_weights_are_numbers(read):
    with pytest.raises(TypeError, match="'how' of .*edges.csv must hold numbers, got 'well'"):
        read(edge_weight="how")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            NODES + "ann,1,true,cook,Riga,\n",
            "nodes.csv line 6: the id 'ann' is repeated; line 3 has",
        ),
        (NODES + ",1,true,cook,Riga,\n", "nodes.csv line 6: the id is missing"),
        (NODES.replace("val", "valid"), "line 3: 'part' must be 'train', .* got 'valid'"),
        (NODES.replace("part", "x"), "split must name a column of .* got 'part'"),
        (NODES.partition("\n")[0], "nodes.csv must have nodes, got no row"),
    ],
)
def test_nodes_that_cannot_be_are_named(read, nodes, message):
    with pytest.raises(ValueError, match=message):
        read(nodes=nodes, split="part")


@pytest.mark.parametrize("argument", ["label", "split"])
def test_without_nodes_there_is_nothing_to_say_about_them(read, argument):
    with pytest.raises(ValueError, match=f"{argument} is about columns of nodes"):
        read(nodes=None, **{argument: "job"})
    with pytest.raises(ValueError, match="categories is about columns of nodes"):
        read(nodes=None, categories=["job"])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("", "nodes.csv is empty"),
        ("\n \n", "nodes.csv is empty"),
        ("  <!DOCTYPE html>\n<p>", "is a web page or XML, no CSV: it begins '  <!DOCTYPE html>'"),
        ("<html>\n", "is a web page"),
        ("1,2\n3,4\n", "must name its columns in the first line, got '1,2'"),
        ("id,a,a\n", "must name each column once, got 'a' again"),
        (
            "\nid,a\n\n1,2\n3,4,5\n",
            r"nodes.csv line 5 must have 2 cells \('id,a'\), got 3: '3,4,5'",
        ),
        ("id,a\n1\n", r"line 2 must have 2 cells \('id,a'\), got 1: '1'"),
        ('id,a\n1,"x\n', "line 2 is no CSV: unexpected end of data"),
        ('id,a\n1,2\n1,"x"y\n', "line 3 is no CSV"),
        (b"id,a\n1,2\n\xff\xfe,3\n", "line 3 is no UTF-8: '��,3'"),
        ("id,a\n1,2\n".encode("utf-16"), "line 1 is no UTF-8"),
        (b"id,a\n1,2\n1,\0\n", "line 3 has a zero byte"),
        (gzip.compress(b"id,a\n1,2\n", mtime=0)[:-5], "nodes.csv is damaged"),
        ("id,a\n1," + "x" * 200_000, "line 2 is no CSV: field larger"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_with_its_line(read, nodes, message):
    with pytest.raises(GraphFileError, match=message):
        read(nodes=nodes)


def test_a_missing_file_is_an_oserror(tmp_path, written):
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError):
        read_csv(written(EDGES, "edges.csv"), tmp_path / "none.csv")


@pytest.mark.parametrize("piece", [48, 64, 200])
def test_pieces_do_not_show(read, monkeypatch, piece):
    nodes = NODES.replace("Riga", '"two\nlines\nØ"')
    expected = read(nodes=nodes, label="job", split="part")
    monkeypatch.setattr(_edge_lines, "PIECE", piece)
    found = read(nodes=nodes, label="job", split="part")
    assert found.features == expected.features and torch.equal(found.graph.x, expected.graph.x)
    with pytest.raises(GraphFileError, match="nodes.csv line 12 must have 6 cells"):
        read(nodes=nodes + "\n\nann,1\n", label="job")


def _damaged(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return data[: draw.randrange(len(data))]
    found = bytearray(data)
    found[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(found)


@pytest.mark.parametrize("packed", [False, True])
def test_damage_gives_a_valid_graph_or_a_typed_error(read, packed):
    draw = random.Random(0)
    pack = (lambda text: gzip.compress(text.encode(), mtime=0)) if packed else str.encode
    files = [pack(EDGES), pack(NODES)]
    accepted = refused = 0
    for _ in range(400):
        damaged = list(files)
        which = draw.randrange(2)
        damaged[which] = _damaged(damaged[which], draw)
        try:
            graph, ids, classes, features = read(
                *damaged, label="job", split="part", edge_weight="years"
            )
        except (ValueError, TypeError) as error:
            refused += "edges.csv" in str(error) or "nodes.csv" in str(error)
        else:
            assert graph.validate() is graph and len(ids) == graph.num_nodes
            assert classes is not None and int(graph.y.max()) < len(classes)
            assert graph.x.shape[1] == len(features) and bool(graph.x.isfinite().all())
            accepted += 1
    assert accepted + refused == 400 and refused > 150


def test_a_graph_of_files_is_saved_as_any_other(read, tmp_path):
    graph = read().graph
    graph.save(tmp_path / "mine.graph")
    assert repr(Graph.load(tmp_path / "mine.graph")) == repr(graph)
