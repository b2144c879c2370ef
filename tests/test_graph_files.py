"""read_graphml and read_gml: what networkx writes comes back, and what is refused."""

import gzip
import random

import networkx
import pytest
import torch

from gnnlib import Graph, GraphFileError, graph_files, read_gml, read_graphml

HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
KEYS = (
    '<key id="a" for="node" attr.name="age" attr.type="double"><default>7</default></key>'
    '<key id="j" for="node" attr.name="job" attr.type="string"/>'
    '<key id="w" for="edge" attr.name="weight" attr.type="double"/>\n'
)
NODES = (
    '<node id="n5"><data key="a">1.5</data><data key="j">cook</data></node>\n'
    '<node id="n2"><data key="j">smith</data></node>\n'
    '<node id="n9"><data key="a">-2</data></node>\n'
)
EDGES = (
    '<edge source="n5" target="n2"><data key="w">0.5</data></edge>\n'
    '<edge source="n9" target="n9"><data key="w">2</data></edge>\n'
)


def graphml(nodes: str = NODES, edges: str = EDGES, kind: str = "directed") -> str:
    return f'{HEAD}{KEYS}<graph edgedefault="{kind}">\n{nodes}{edges}</graph></graphml>'


GML = """graph [
  directed 1
  node [ id 5 label "Riga" age 1.5 old 1 job "cook" graphics [ x 1.0 y 2.0 ] ]
  node [ id 2 label "Bonn" age 2 old 0 job "smith" ]
  node [ id 9 label "Ōsaka" age -3 old 1 ]
  edge [ source 5 target 2 weight 0.5 ]
  edge [ source 9 target 9 weight 2 ]
]
"""


@pytest.fixture
def from_graphml(written):
    return lambda text, **arguments: read_graphml(written(text, "my.graphml"), **arguments)


@pytest.fixture
def from_gml(written):
    return lambda text, **arguments: read_gml(written(text, "my.gml"), **arguments)


def test_attributes_of_graphml_are_features_classes_and_weights(from_graphml):
    graph, ids, classes, features = from_graphml(graphml(), label="job", edge_weight="weight")
    assert ids.tolist() == ["n5", "n2", "n9"] and features == ("age",)
    assert graph.x.tolist() == [[1.5], [7], [-2]]  # 7 is the default that the file declares
    assert classes is not None and classes.tolist() == ["cook", "smith"]
    assert graph.y.tolist() == [0, 1, -1]
    assert graph.edge_index.tolist() == [[0, 2], [1, 2]]
    assert graph.edge_weight.tolist() == [0.5, 2]


def test_an_undirected_edge_becomes_two_and_a_loop_one(from_graphml, from_gml):
    graph = from_graphml(graphml(kind="undirected"), edge_weight="weight").graph
    assert graph.edge_index.tolist() == [[0, 2, 1], [1, 2, 0]]
    assert graph.edge_weight.tolist() == [0.5, 2, 0.5]
    graph = from_gml(GML.replace("directed 1", "directed 0"), edge_weight="weight").graph
    assert graph.edge_index.tolist() == [[0, 2, 1], [1, 2, 0]]


def test_attributes_of_gml_are_features_and_classes(from_gml):
    graph, ids, classes, features = from_gml(GML, label="job", edge_weight="weight")
    assert ids.tolist() == ["Riga", "Bonn", "Ōsaka"] and features == ("age", "old")
    assert graph.x.tolist() == [[1.5, 1], [2, 0], [-3, 1]]
    assert classes is not None and classes.tolist() == ["cook", "smith"]
    assert graph.y.tolist() == [0, 1, -1]
    assert graph.edge_index.tolist() == [[0, 2], [1, 2]]
    assert graph.edge_weight.tolist() == [0.5, 2]


def test_the_names_of_gml_nodes_are_labels_ids_or_an_attribute(from_gml):
    assert from_gml(GML, node_id="id").ids.tolist() == [5, 2, 9]
    assert from_gml(GML, node_id="id").features == ("age", "old")
    assert from_gml(GML.replace("label", "name")).ids.tolist() == [5, 2, 9]
    assert from_gml(GML, node_id="label").ids.tolist() == ["Riga", "Bonn", "Ōsaka"]
    with pytest.raises(ValueError, match="my.gml node None: the id is missing"):
        from_gml(GML, node_id="job")
    with pytest.raises(ValueError, match="the id 'Riga' is repeated"):
        from_gml(GML.replace("Bonn", "Riga"))


def test_texts_are_features_where_they_are_asked_for(from_graphml):
    nodes = NODES.replace("-2</data>", '-2</data><data key="j">cook</data>')
    features = from_graphml(graphml(nodes), features=["job", "age"]).features
    assert features == ("job=cook", "job=smith", "age")
    with pytest.raises(ValueError, match=r"my.graphml node 'n9': 'job' is missing"):
        from_graphml(graphml(), features=["job"])
    with pytest.raises(ValueError, match="label must name a column .* are 'age', 'job'; got 'x'"):
        from_graphml(graphml(), label="x")


@pytest.mark.parametrize("write", ["graphml", "gml"])
@pytest.mark.parametrize("kind", ["Graph", "DiGraph", "MultiGraph", "MultiDiGraph"])
def test_what_networkx_writes_comes_back(tmp_path, write, kind):
    draw = random.Random(0)
    made = getattr(networkx, kind)()
    for k in range(12):
        made.add_node(f"n{k}", a=draw.randrange(9), b=draw.random(), c=draw.choice("uvw"))
    for _ in range(40):
        made.add_edge(f"n{draw.randrange(12)}", f"n{draw.randrange(12)}", w=draw.random())
    path = tmp_path / f"g.{write}"
    getattr(networkx, f"write_{write}")(made, path)
    read = {"graphml": read_graphml, "gml": read_gml}[write]
    found, ids, classes, features = read(path, label="c", edge_weight="w")
    expected = Graph.from_networkx(made, node_attrs=["a", "b"], edge_attrs=["w"])
    assert ids.tolist() == list(made) and features == ("a", "b")
    assert torch.equal(found.x, torch.stack([expected.a.float(), expected.b.float()], dim=1))
    assert classes is not None and classes[found.y.numpy()].tolist() == [
        made.nodes[node]["c"] for node in made
    ]
    weights = torch.sort(found.edge_weight)[0]
    assert torch.allclose(weights, torch.sort(expected.edge_w.float())[0])
    assert torch.equal(found.adj.degree(), expected.adj.degree())


def test_ids_of_graphml_are_integers_if_all_are(tmp_path):
    networkx.write_graphml(networkx.path_graph([7, 3, 5]), tmp_path / "g.graphml")
    assert read_graphml(tmp_path / "g.graphml").ids.tolist() == [7, 3, 5]


def test_a_gzip_file_is_unpacked(written):
    assert read_graphml(written(gzip.compress(graphml().encode()), "a")).graph.num_nodes == 3
    assert read_gml(written(gzip.compress(GML.encode()), "b")).graph.num_nodes == 3


BOMB = (
    '<!DOCTYPE graphml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB + graphml().replace("cook", "&c;"), r"line 1: a document type \(<!DOCTYPE …>\)"),
        ('<!DOCTYPE graphml SYSTEM "file:///etc/passwd">' + graphml(), "a document type"),
        (
            ("<?xml version='1.0' encoding='utf-16'?>" + BOMB + graphml()).encode("utf-16"),
            "document",
        ),
        (graphml().replace("cook", "&c;"), "is no XML: undefined entity"),
        (graphml()[:-30], "is no XML"),
        ("", "is no XML: no element found"),
        ("<html></html>", "must be a <graphml>, got <html>"),
        (f"{HEAD}</graphml>", "must have one graph, got 0"),
        (graphml().replace("</graph>", "</graph><graph></graph>"), "must have one graph, got 2"),
        (graphml(NODES + '<node id="n2"/>'), "line 6: the node 'n2' is there already, in line 4"),
        (graphml("<node/>", ""), "line 3: a node has no id"),
        (graphml(edges='<edge source="n2" target="n8"/>'), "line 6: the target 'n8' of an edge"),
        (graphml(edges='<edge target="n2"/>'), "line 6: the source None of an edge"),
        (graphml(edges="<hyperedge/>"), "hyperedges"),
        (graphml(NODES.replace("1.5", "old")), "could not convert string to float: 'old'"),
        (graphml(NODES.replace('key="j"', 'key="z"')), "no key z"),
        (graphml().replace('"double"', '"quaternion"'), "quaternion"),
        (graphml(edges='<edge source="n2" target="n2" directed="false"/>'), "directed=false"),
        (
            graphml(NODES + '<node id="m"><graph><node id="o"/></graph></node>'),
            "it has 5 nodes and 2 edges, of which networkx makes 4 and 2",
        ),
        (
            graphml(edges='<edge id="1" source="n2" target="n9"/>' * 2),
            "3 nodes and 2 edges, of which networkx makes 3 and 1",
        ),
        (graphml().replace("<graph ", "<a>" * 70 + "<graph "), "more than 64 deep"),
        (gzip.compress(graphml().encode(), mtime=0)[:-9], "is damaged"),
    ],
)
def test_graphml_that_is_not_read(from_graphml, text, message):
    with pytest.raises(GraphFileError, match=message) as caught:
        from_graphml(text)
    assert "my.graphml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no GML that networkx can read: input contains no graph"),
        ("<html>", "cannot tokenize <html>"),
        (GML[:-4], "expected ']', found EOF"),
        (GML.replace("id 2", "id 5"), "node id 5 is duplicated"),
        (GML.replace("id 2", "ix 2"), "has no 'id' attribute"),
        (GML.replace("target 2", "target 3"), "undefined target 3"),
        (GML.replace("]\n]", "]\n edge [ source 5 target 2 ]\n]"), "is duplicated"),
        (GML.replace("id 2", "id [ a 1 ]"), "unhashable"),
        ("graph 5", "'int' object has no attribute 'pop'"),
        ("graph " + "[ a " * 100_000, "is no GML that networkx can read"),
        (GML.replace("age 2 ", f"age {'9' * 5000} "), "is no GML that networkx can read"),
        (GML.encode("latin-1", "replace").replace(b"?", b"\xd6"), "is no UTF-8: .* at byte"),
    ],
)
def test_gml_that_is_not_read(from_gml, text, message):
    with pytest.raises(GraphFileError, match=message) as caught:
        from_gml(text)
    assert "my.gml" in str(caught.value)


def test_integers_without_bound_are_refused_where_they_do_not_fit(from_gml):
    big = "9" * 100
    with pytest.raises(
        ValueError, match=r"node 'Bonn': 'age' must be a finite number .* got 1e\+100"
    ):
        from_gml(GML.replace("age 2 ", f"age {big} "))
    with pytest.raises(TypeError, match="ids must be texts or integers below 2"):
        from_gml(
            GML.replace("id 5", f"id {big}").replace("source 5", f"source {big}"), node_id="id"
        )


def test_a_file_beyond_the_limit_is_refused(written, monkeypatch):
    monkeypatch.setattr(graph_files, "_LIMIT", 100)
    for text in (GML.encode(), gzip.compress(GML.encode())):
        with pytest.raises(GraphFileError, match="has more than 100 bytes"):
            read_gml(written(text, "my.gml"))


@pytest.mark.parametrize("form", ["graphml", "gml"])
@pytest.mark.parametrize("packed", [False, True])
def test_damage_gives_a_valid_graph_or_a_typed_error(written, form, packed):
    draw = random.Random(0)
    read = {"graphml": read_graphml, "gml": read_gml}[form]
    data = {"graphml": graphml(), "gml": GML}[form].encode()
    data = gzip.compress(data, mtime=0) if packed else data
    accepted = refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(data)) :]
        else:
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            graph, ids, classes, features = read(
                written(bytes(damaged), "my.file"), label="job", edge_weight="weight"
            )
        except (ValueError, TypeError) as error:
            refused += "my.file" in str(error)
        else:
            assert graph.validate() is graph and len(ids) == graph.num_nodes
            assert classes is not None and int(graph.y.max()) < len(classes)
            assert graph.num_features == len(features)
            accepted += 1
    assert accepted + refused == 400 and refused > 200
