"""The reader of historic pickles: what the files hold comes out, and nothing in them runs."""

import contextlib
import copyreg
import marshal
import pickle
import random
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from gnnlib.datasets import DatasetError
from gnnlib.datasets._unpickle import CSR, load
from tests.datasets import historic

START, STOP = b"\x80\x02", b"."


@pytest.mark.parametrize("code", ["<i4", "<i8", "<f4", "<f8"])
def test_arrays_come_out_as_they_went_in(code):
    for array in (np.arange(6).astype(code), np.arange(6).astype(code).reshape(2, 3)):
        read = load(historic.dump(array), "file")
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype


def test_fortran_order_and_big_endian_are_understood():
    array = np.arange(6, dtype=">i4").reshape(2, 3)
    big = historic.dump(array).replace(b"\x01\x00\x00\x00<", b"\x01\x00\x00\x00>")
    np.testing.assert_array_equal(load(big, "file"), array)
    columns = historic.dump(np.arange(6, dtype=np.int32).reshape(3, 2))
    columns = columns.replace(b"\x89T", b"\x88T")
    np.testing.assert_array_equal(load(columns, "file"), [[0, 3], [1, 4], [2, 5]])


def test_a_matrix_comes_out_as_it_went_in():
    matrix = sp.csr_matrix(np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]], dtype=np.float32))
    read = load(historic.dump(matrix), "file")
    assert isinstance(read, CSR)
    assert read.shape == (3, 3)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(read, part), getattr(matrix, part))


def test_lists_of_neighbours_come_out_in_their_order():
    lists = {2: [0, 70_000, 300], 0: [1, 1], 1: []}
    read = load(historic.dump(lists), "file")
    assert read == lists
    assert list(read) == [2, 0, 1]


def test_the_memo_and_single_items_are_understood():
    body = historic.GRAPH_HEAD + b"q\x00K\x01]q\x01K\x05as" + b"K\x02h\x01s0"
    with pytest.raises(DatasetError, match="opcode b'0'"):
        load(START + body + STOP, "file")
    assert load(START + body[:-1] + STOP, "file") == {1: [5], 2: [5]}
    long = historic.GRAPH_HEAD + b"K\x01]r\x00\x00\x00\x80s" + b"K\x02j\x00\x00\x00\x80s"
    assert load(START + long + STOP, "file") == {1: [], 2: []}


# Gadgets: streams that leave a sentinel file behind where they are executed.


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _raw(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def _call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def _by_stack(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + b"\x93"


SENTINEL, EXTENSION = "sentinel", 0xF0
SHELL = _text(f"touch {SENTINEL}")
PYTHON = _text(f"open({SENTINEL!r}, 'w').close()")
CODE = marshal.dumps(compile(f"open({SENTINEL!r}, 'w').close()", "code", "exec"))
SYSTEM = _name("os", "system")
PATH = _call(_name("pathlib", "Path"), _text(SENTINEL))
MEMMAP = b"(" + _text(SENTINEL) + _text("u1") + _text("w+") + b"K\x00K\x01t"
TOUCH = _call(_name("builtins", "getattr"), PATH, _text("touch"))
ZEROS = _call(_name("numpy", "zeros"), b"K\x03")

GADGETS = {
    "os.system": _call(SYSTEM, SHELL),
    "posix.system": _call(_name("posix", "system"), SHELL),
    "eval": _call(_name("builtins", "eval"), PYTHON),
    "eval by its old name": _call(_name("__builtin__", "eval"), PYTHON),
    "exec": _call(_name("builtins", "exec"), PYTHON),
    "open": _call(_name("builtins", "open"), _text(SENTINEL), _text("w")),
    "open by its home": _call(_name("io", "open"), _text(SENTINEL), _text("w")),
    "subprocess": _call(
        _name("subprocess", "call"), b"](" + _text("touch") + _text(SENTINEL) + b"e"
    ),
    "shutil": _call(_name("shutil", "copy"), _text(__file__), _text(SENTINEL)),
    "a bound method": _call(TOUCH),
    "a method by its dotted name": _call(_by_stack("pathlib", "Path.touch"), PATH),
    "a name from the stack": _call(_by_stack("os", "system"), SHELL),
    "a method of an allowed class": _call(
        _by_stack("numpy", "ndarray.tofile"), ZEROS, _text(SENTINEL)
    ),
    "a nested module": _call(_by_stack("pathlib", "os.system"), SHELL),
    "INST": b"(" + SHELL + b"ios\nsystem\n",
    "OBJ": b"(" + SYSTEM + SHELL + b"o",
    "NEWOBJ": _name("numpy", "memmap") + MEMMAP + b"\x81",
    "NEWOBJ_EX": _name("numpy", "memmap") + MEMMAP + b"}\x92",
    "EXT1": _call(b"\x82" + bytes([EXTENSION]), SHELL),
    "EXT2": _call(b"\x83" + struct.pack("<H", EXTENSION), SHELL),
    "EXT4": _call(b"\x84" + struct.pack("<i", EXTENSION), SHELL),
    "numpy.savetxt": _call(_name("numpy", "savetxt"), _text(SENTINEL), ZEROS),
    "numpy.memmap": _name("numpy", "memmap") + MEMMAP + b"R",
    "functools.partial": _call(_call(_name("functools", "partial"), SYSTEM, SHELL)),
    "operator.methodcaller": _call(_call(_name("operator", "methodcaller"), _text("touch")), PATH),
    "map": _call(
        _name("builtins", "list"),
        _call(_name("builtins", "map"), SYSTEM, b"](" + SHELL + b"e"),
    ),
    "import": _call(
        _call(
            _name("builtins", "getattr"),
            _call(_name("importlib", "import_module"), _text("os")),
            _text("system"),
        ),
        SHELL,
    ),
    "timeit": _call(
        _name("timeit", "timeit"), PYTHON, _text("pass"), _name("time", "time"), b"K\x01"
    ),
    "a function from its code": _call(
        _call(_name("types", "FunctionType"), _call(_name("marshal", "loads"), _raw(CODE)), b"}")
    ),
    "a pickle in a pickle": _call(
        _name("pickle", "loads"), _raw(START + _call(SYSTEM, SHELL) + STOP)
    ),
    "a key of the graph": historic.GRAPH_HEAD + _call(SYSTEM, SHELL) + b"]s",
    "the factory of the graph": _call(
        _by_stack("collections", "defaultdict.__missing__"),
        _call(_name("collections", "defaultdict"), TOUCH),
        b"K\x01",
    ),
    "a neighbour": historic.GRAPH_HEAD + b"K\x00]" + _call(SYSTEM, SHELL) + b"as",
    "an argument of an allowed class": _call(_name("numpy", "dtype"), _call(SYSTEM, SHELL)),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a sentinel would appear; the extension registry knows os.system meanwhile."""
    monkeypatch.chdir(tmp_path)
    copyreg.add_extension("os", "system", EXTENSION)
    yield tmp_path
    copyreg.remove_extension("os", "system", EXTENSION)
    copyreg.clear_extension_cache()


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("gadget", GADGETS.values(), ids=GADGETS.keys())
def test_a_gadget_is_refused_and_not_executed(gadget, protocol, folder):
    stream = b"\x80" + bytes([protocol]) + gadget + STOP
    with pytest.raises(DatasetError, match=r"^ind\.cora\.graph is refused at byte \d+: "):
        load(stream, "ind.cora.graph")
    assert not (folder / SENTINEL).exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("gadget", GADGETS.values(), ids=GADGETS.keys())
def test_the_gadget_is_loaded_by_pickle_itself(gadget, folder):
    """Without this the test above could pass on gadgets that do nothing."""
    protocol = b"\x02" if b"__builtin__" in gadget else b"\x04"  # 4 has no Python 2 names
    with contextlib.suppress(TypeError, ValueError):  # after the call; its result is of no use
        pickle.loads(b"\x80" + protocol + gadget + STOP)  # noqa: S301
    assert (folder / SENTINEL).exists()


ARRAY = _name("numpy.core.multiarray", "_reconstruct") + b"(" + _name("numpy", "ndarray")
ARRAY += b"K\x00\x85U\x01btR"
DTYPE = historic.encode(np.dtype(np.int32))
OBJECTS = _call(_name("numpy", "dtype"), b"U\x02O8", b"K\x00", b"K\x01")
HUGE = b"J\xff\xff\xff\x7f"
MATRIX = {
    b"format": b"csr",
    b"_shape": (2, 3),
    b"indptr": np.array([0, 1, 2], dtype=np.int32),
    b"indices": np.array([0, 2], dtype=np.int32),
    b"data": np.array([1, 2], dtype=np.float32),
}


def _matrix(**changed) -> bytes:
    return historic.matrix(MATRIX | {key.encode(): value for key, value in changed.items()})


def _ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


FORGED = {
    "nothing": b"",
    "no value": b"(",
    "two values": b"NN",
    "a persistent id": b"Pid\n",
    "a persistent id from the stack": b"NQ",
    "a frame": b"\x95" + struct.pack("<Q", 2**60),
    "bytes of 2**60": b"\x8e" + struct.pack("<Q", 2**60),
    "an unbounded number": b"I" + b"9" * 10_000 + b"\n",
    "a string of 2**32 - 1": b"T\xff\xff\xff\xff",
    "a name alone": _name("numpy", "ndarray") + b"(tR",
    "a class as an array": _name("numpy", "ndarray") + b"(" + HUGE + b"tR",
    "a name with more behind it": _name("numpy", "dtype.type"),
    "a name in other letters": _name("numpy", "Dtype"),
    "a name that is no text": b"cnumpy\n\xff\xfe\n",
    "a name without an end": b"cnumpy\ndtype",
    "a dtype of objects": OBJECTS,
    "a dtype with fields": _call(_name("numpy", "dtype"), b"]", b"K\x00", b"K\x01"),
    "a dtype with metadata": _call(_name("numpy", "dtype"), b"U\x02i4", b"K\x00", b"K\x01")
    + historic.encode((4, b"<", None, None, None, -1, -1, 0, None))
    + b"b",
    "a dtype filled in twice": DTYPE
    + historic.encode((3, b"<", None, None, None, -1, -1, 0))
    + b"b",
    "an array of objects": ARRAY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89](Neb",
    "an array of a subclass": _name("numpy.core.multiarray", "_reconstruct")
    + b"("
    + _name("collections", "defaultdict")
    + b"K\x00\x85U\x01btR",
    "an array of a huge shape": ARRAY + b"(K\x01" + HUGE + HUGE + b"\x86" + DTYPE + b"\x89U\x00tb",
    "an empty array of a huge shape": ARRAY
    + b"(K\x01K\x00"
    + HUGE
    + b"\x86"
    + DTYPE
    + b"\x89U\x00tb",
    "an array of a negative shape": ARRAY
    + b"(K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86"
    + DTYPE
    + b"\x89U\x04aaaatb",
    "an array of no shape": ARRAY + b"(K\x01)" + DTYPE + b"\x89U\x04aaaatb",
    "an array with a wrong state": ARRAY + b"}b",
    "an array without a dtype": ARRAY + b"(K\x01K\x01\x85N\x89U\x04aaaatb",
    "an array with an unfinished dtype": ARRAY
    + b"(K\x01K\x01\x85"
    + _call(_name("numpy", "dtype"), b"U\x02i4", b"K\x00", b"K\x01")
    + b"\x89U\x04aaaatb",
    "a state for a list": b"]}b",
    "a state for a name": _name("numpy", "dtype") + b"}b",
    "a graph with another factory": _call(
        _name("collections", "defaultdict"), _name("numpy", "dtype")
    ),
    "a list that is called": _call(_name("__builtin__", "list")),
    "a list without items": b"K\x01a",
    "items for a number": b"K\x01(K\x01e",
    "a key without a value": historic.GRAPH_HEAD + b"(K\x01u",
    "a key that is a list": historic.GRAPH_HEAD + b"]Ns",
    "a nested key": historic.GRAPH_HEAD + b")" + b"\x85" * 10_000 + b"Ns",
    "an empty slot": b"h\x07",
    "nothing for a slot": b"q\x07",
    "a matrix with arguments": _name("scipy.sparse.csr", "csr_matrix") + b"K\x05\x85\x81",
    "a matrix that is called": _name("scipy.sparse.csr", "csr_matrix") + b")R",
    "a matrix without a state": _name("scipy.sparse.csr", "csr_matrix") + b")\x81}b",
    "a matrix of another format": _matrix(format=b"csc"),
    "a matrix of a huge width": _matrix(_shape=(2, 2**31 - 1)),
    "a matrix of a negative width": _matrix(_shape=(2, -1)),
    "a matrix with too few bounds": _matrix(indptr=_ints(0, 2)),
    "a matrix with bounds that fall": _matrix(indptr=_ints(0, 3, 2)),
    "a matrix with bounds that overflow": _matrix(_shape=(3, 3), indptr=_ints(0, 2**31 - 1, -2, 2)),
    "a matrix with bounds past its values": _matrix(indptr=_ints(0, 1, 3)),
    "a matrix with a column too many": _matrix(indices=_ints(0, 3)),
    "a matrix with a negative column": _matrix(indices=_ints(-1, 2)),
    "a matrix with fewer columns than values": _matrix(indices=_ints(0)),
    "a matrix with fractional columns": _matrix(indices=np.ones(2, dtype=np.float32)),
    "a matrix with whole values": _matrix(data=_ints(1, 2)),
    "a matrix with values in two dimensions": _matrix(data=np.ones((1, 2), dtype=np.float32)),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_what_the_files_never_hold_is_refused_in_little_memory(forged):
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=r"^file is refused at byte \d+: "):
            load(START + forged + STOP, "file")
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_a_slot_of_a_huge_number_takes_no_memory():
    tracemalloc.start()
    try:
        assert load(START + b"Nr\xff\xff\xff\xff.", "file") is None
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("head", [b"", b"\x80", b"(lp0\n", b"\x80\x03N.", b"\x93NUMPY", b"<html>"])
def test_a_file_that_is_no_such_pickle_is_refused(head):
    with pytest.raises(DatasetError, match="is refused"):
        load(head, "file")


def test_nothing_may_follow_the_end():
    with pytest.raises(DatasetError, match="left over"):
        load(historic.dump(np.arange(3, dtype=np.int32)) + b"K", "file")


def test_a_cut_file_is_refused_wherever_it_is_cut():
    for value in historic.Small().objects().values():
        data = historic.dump(value)
        for end in {*range(200), *range(0, len(data), 97), *range(len(data) - 50, len(data))}:
            with pytest.raises(DatasetError):
                load(data[: min(end, len(data) - 1)], "file")


def test_the_real_files_are_refused_wherever_they_are_cut(mirror):
    cut = random.Random(0)
    for path in sorted((mirror / "citation").glob("planetoid_*/ind.*")):
        if path.name.endswith("test.index"):
            continue
        data = path.read_bytes()
        for end in [*range(0, 300, 7), *(cut.randrange(len(data)) for _ in range(20))]:
            with pytest.raises(DatasetError):
                load(data[:end], path.name)
