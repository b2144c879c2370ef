"""Writes Planetoid files as Python 2 wrote them: no Python of today does."""

import pickle
import struct

import numpy as np
import scipy.sparse as sp

GRAPH_HEAD = b"ccollections\ndefaultdict\n" + b"c__builtin__\nlist\n" + b"\x85R"


def dump(value) -> bytes:
    """A pickle of protocol 2 with the names that numpy 1 and scipy 0 had."""
    return pickle.PROTO + b"\x02" + encode(value) + pickle.STOP


def encode(value) -> bytes:
    match value:
        case None:
            return pickle.NONE
        case bool():
            return pickle.NEWTRUE if value else pickle.NEWFALSE
        case int():
            return integer(value)
        case bytes():
            return pickle.BINSTRING + struct.pack("<i", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(encode, value)) + pickle.TUPLE
        case list():
            return pickle.EMPTY_LIST + b"(" + b"".join(map(encode, value)) + pickle.APPENDS
        case dict():  # of the neighbours of each node
            return GRAPH_HEAD + items(value)
        case np.dtype():
            code = value.str[1:].encode()
            state = (3, b"<", None, None, None, -1, -1, 0)
            return b"cnumpy\ndtype\n" + encode((code, 0, 1)) + b"R" + encode(state) + b"b"
        case np.ndarray():
            head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
            head += encode((0,)) + encode(b"b") + b"tR"
            body = b"(" + encode(1) + encode(value.shape) + encode(value.dtype)
            return head + body + encode(False) + encode(value.tobytes()) + b"tb"
    if sp.issparse(value):
        return matrix(
            {
                b"format": b"csr",
                b"_shape": tuple(map(int, value.shape)),
                b"indptr": value.indptr,
                b"indices": value.indices,
                b"data": value.data,
                b"maxprint": 50,
            }
        )
    raise TypeError(type(value))


def matrix(state: dict) -> bytes:
    return b"cscipy.sparse.csr\ncsr_matrix\n)\x81" + pickle.EMPTY_DICT + items(state) + b"b"


def items(value: dict) -> bytes:
    pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
    return b"(" + pairs + pickle.SETITEMS


def integer(value: int) -> bytes:
    if 0 <= value < 2**8:
        return pickle.BININT1 + struct.pack("<B", value)
    if 0 <= value < 2**16:
        return pickle.BININT2 + struct.pack("<H", value)
    return pickle.BININT + struct.pack("<i", value)


NUM_TRAIN, NUM_KNOWN, NUM_NODES, NUM_FEATURES, NUM_CLASSES = 6, 510, 532, 5, 3
TEST_NODES = [node for node in range(NUM_NODES - 1, NUM_KNOWN - 1, -1) if node not in (515, 520)]


class Small:
    """A dataset of 532 nodes in the eight objects of the format; 515 and 520 are not known.

    Node i lists i + 1 twice and i - 1 once, in that order, and node 7 lists itself.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        x = (rng.random((NUM_NODES, NUM_FEATURES)) < 0.4) * rng.random((NUM_NODES, NUM_FEATURES))
        self.x = x.astype(np.float32)
        self.y = rng.integers(NUM_CLASSES, size=NUM_NODES)
        self.x[[515, 520]] = 0
        self.y[[515, 520]] = -1
        self.neighbours = {
            node: [(node + 1) % NUM_NODES] * 2 + [(node - 1) % NUM_NODES] + [7] * (node == 7)
            for node in range(NUM_NODES)
        }

    def objects(self) -> dict:
        one_hot = np.eye(NUM_CLASSES, dtype=np.int32)
        features = sp.csr_matrix(self.x)
        return {
            "x": features[:NUM_TRAIN],
            "y": one_hot[self.y[:NUM_TRAIN]],
            "tx": features[TEST_NODES],
            "ty": one_hot[self.y[TEST_NODES]],
            "allx": features[:NUM_KNOWN],
            "ally": one_hot[self.y[:NUM_KNOWN]],
            "graph": self.neighbours,
            "test.index": TEST_NODES,
        }

    def files(self, **changed) -> dict[str, bytes]:
        """The bytes of the eight files, some of the objects replaced."""
        objects = self.objects() | {name.replace("_", "."): item for name, item in changed.items()}
        test = "".join(f"{node}\n" for node in objects.pop("test.index")).encode()
        return {name: dump(item) for name, item in objects.items()} | {"test.index": test}
