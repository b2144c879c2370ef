import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils import _pytree as pytree

from gnnlib.adjacency import Adjacency
from gnnlib.features import SparseFeatures, dropout
from tests.graphs import exported

# torch says so once per process, when a test makes the first CSR tensor.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support")
compiles = pytest.mark.filterwarnings(  # dynamo itself does what torch warns of
    "ignore:.*should not be instantiated:DeprecationWarning"
)

ARRAY: Any = np.ones(3)
SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (6, 5), (5, 5), (40, 7)]


def matrix(shape=(6, 5), dtype=torch.float64) -> Tensor:
    """About two thirds zeros; row 1, where there is one, is all zero."""
    dense = torch.randn(shape, dtype=dtype) * (torch.rand(shape) < 0.3)
    dense[1:2] = 0
    return dense


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_source_gives_the_same_matrix(shape, dtype):
    dense = matrix(shape, dtype)
    scipy_coo = scipy.sparse.coo_array(dense.numpy())
    made = [
        SparseFeatures.from_dense(dense),
        SparseFeatures.from_scipy(scipy_coo),
        SparseFeatures.from_scipy(scipy_coo.tocsr()),
        SparseFeatures.from_scipy(scipy.sparse.csc_matrix(dense.numpy())),
        SparseFeatures.from_torch(dense.to_sparse()),
        SparseFeatures.from_torch(dense.to_sparse_csr()),
        SparseFeatures.from_torch(dense.to_sparse_csc()),
    ]
    for x in made:
        assert x.shape == dense.shape
        assert len(x) == shape[0]
        assert x.dtype == dtype
        assert x.nnz == int((dense != 0).sum())
        assert x.structure.eid is None
        assert torch.equal(x.to_dense(), dense)
        assert torch.equal(x.to_torch().to_dense(), dense)
        assert np.array_equal(x.to_scipy().toarray(), dense.numpy())


def test_repeated_entries_are_summed():
    rows, cols = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 1])
    index = torch.stack([rows, cols])
    coo = torch.sparse_coo_tensor(index, torch.ones(3), (2, 2), check_invariants=False)
    theirs = scipy.sparse.coo_matrix((np.ones(3, np.float32), (rows.numpy(), cols.numpy())))
    for x in (SparseFeatures.from_torch(coo), SparseFeatures.from_scipy(theirs)):
        assert x.to_dense().tolist() == [[0.0, 2.0], [1.0, 0.0]]
        assert x.nnz == 2
    assert theirs.nnz == 3


def test_a_scipy_matrix_is_copied():
    theirs = scipy.sparse.csr_array(matrix().numpy())
    x = SparseFeatures.from_scipy(theirs)
    before = x.to_dense()
    theirs.data[:] = 0
    theirs.indices[:] = 0
    assert torch.equal(x.to_dense(), before)


@pytest.mark.parametrize("kind", [np.int64, np.bool_, np.uint8])
def test_counts_and_bools_become_the_default_dtype(kind):
    x = SparseFeatures.from_scipy(scipy.sparse.csr_array(np.eye(3, dtype=kind)))
    assert x.dtype == torch.float32
    assert torch.equal(x.to_dense(), torch.eye(3))


def test_values_follow_the_edge_order_of_the_structure():
    structure = Adjacency.from_edge_index([[0, 1, 0], [2, 0, 1]], num_src=2, num_dst=3)
    x = SparseFeatures(structure, torch.tensor([20.0, 1.0, 10.0]))
    assert x.to_dense().tolist() == [[0.0, 1.0], [10.0, 0.0], [20.0, 0.0]]


@pytest.mark.parametrize("shape", SHAPES)
def test_matmul_is_that_of_the_dense_matrix(shape):
    dense = matrix(shape)
    x, w = SparseFeatures.from_dense(dense), torch.randn(shape[1], 3, dtype=torch.float64)
    torch.testing.assert_close(x.matmul(w), dense @ w)


def test_matmul_is_differentiable_twice_in_values_and_weight():
    x = SparseFeatures.from_dense(matrix())
    w = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    values = x.values.clone().requires_grad_()

    def product(values, w):
        return SparseFeatures(x.structure, values).matmul(w)

    assert torch.autograd.gradcheck(product, (values, w))
    assert torch.autograd.gradgradcheck(product, (values, w))


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_summed_and_scaled(shape):
    dense = matrix(shape)
    x, scale = SparseFeatures.from_dense(dense), torch.randn(shape[0], dtype=torch.float64)
    torch.testing.assert_close(x.row_sum(), dense.sum(1))
    scaled = x.scale_rows(scale)
    torch.testing.assert_close(scaled.to_dense(), dense * scale.unsqueeze(1))
    assert scaled.structure is x.structure


def test_row_scales_are_differentiable():
    x = SparseFeatures.from_dense(matrix())
    scale = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: x.scale_rows(s).to_dense(), (scale,))


def test_dropout_scales_what_it_keeps_and_shares_the_structure():
    x = SparseFeatures.from_dense(torch.ones(100, 100))
    dropped = x.dropout(0.25)
    assert dropped.structure is x.structure
    kept = dropped.values != 0
    assert 0.70 < kept.float().mean() < 0.80
    torch.testing.assert_close(dropped.values[kept], torch.full((int(kept.sum()),), 1 / 0.75))
    assert x.dropout(0.25, training=False) is x
    assert x.dropout(0.0) is x
    assert not x.dropout(1.0).values.any()
    with pytest.raises(ValueError, match="dropout probability"):
        x.dropout(1.5)


def test_dropout_takes_dense_and_sparse():
    x = matrix()
    torch.manual_seed(1)
    expected = torch.nn.functional.dropout(x, 0.5)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.5), expected)
    assert dropout(x, 0.5, training=False) is x
    sparse = SparseFeatures.from_dense(x)
    assert isinstance(dropout(sparse, 0.5), SparseFeatures)
    assert dropout(sparse, 0.5, training=False) is sparse


ROWS = {
    "all": slice(None),
    "middle": slice(2, 5),
    "beyond": slice(3, 99),
    "steps": slice(0, None, 2),
    "backwards": slice(None, None, -1),
    "none": slice(4, 2),
    "mask": torch.tensor([True, False, True, True, False, False]),
    "no_mask": torch.zeros(6, dtype=torch.bool),
    "ids": torch.tensor([4, 0, 0, 1]),
    "int32": torch.tensor([3, 2], dtype=torch.int32),
    "negative": torch.tensor([-1, -6]),
    "no_ids": torch.tensor([], dtype=torch.long),
    "list": [5, 0],
    "no_list": [],
    "array": np.array([2, 2]),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_chosen_as_in_numpy(name):
    dense, rows = matrix(), ROWS[name]
    chosen = SparseFeatures.from_dense(dense)[rows]
    index = rows.numpy() if isinstance(rows, Tensor) else rows
    expected = dense.numpy()[np.array(index, dtype=int) if isinstance(index, list) else index]
    assert np.array_equal(chosen.to_dense().numpy(), expected)
    # The structure of the result stands on its own.
    Adjacency(chosen.structure.ptr, chosen.structure.col, 5)


def test_gradients_flow_to_the_rows_chosen():
    x = SparseFeatures.from_dense(torch.ones(3, 2))
    values = x.values.clone().requires_grad_()
    SparseFeatures(x.structure, values)[[1, 1]].values.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 2, 2, 0, 0]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (torch.tensor([0, 6]), IndexError, "x has 6 rows, got row 6"),
        (torch.tensor([-7]), IndexError, "x has 6 rows, got row -7"),
        (torch.tensor([True]), IndexError, "a mask needs 6 entries, one per row, got 1"),
        (torch.tensor([0.5]), TypeError, "row numbers must be integers, got torch.float32"),
        (torch.tensor([[0]]), TypeError, "one-dimensional"),
        (2, TypeError, "rows must be a slice"),
        ((slice(None), 0), TypeError, "rows must be a slice"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        SparseFeatures.from_dense(matrix())[rows]


def test_parts_are_stacked():
    parts = [matrix((4, 5)), matrix((0, 5)), matrix((3, 5))]
    stacked = SparseFeatures.cat([SparseFeatures.from_dense(part) for part in parts])
    assert torch.equal(stacked.to_dense(), torch.cat(parts))
    with pytest.raises(ValueError, match=r"same number of columns, got \[2, 5\]"):
        SparseFeatures.cat([stacked, SparseFeatures.from_dense(matrix((1, 2)))])


def test_to_casts_values_and_keeps_the_structure():
    x = SparseFeatures.from_dense(matrix(dtype=torch.float32))
    assert x.to("cpu") is x
    assert x.to(torch.float32) is x
    double = x.to(torch.float64)
    assert double.dtype == torch.float64
    assert double.structure is x.structure
    assert torch.equal(double.to_dense(), x.to_dense().double())
    meta = x.to("meta", torch.float16)
    assert (meta.device.type, meta.dtype) == ("meta", torch.float16)
    assert meta.structure.device.type == "meta"


@pytest.mark.parametrize("shape", SHAPES)
def test_copies_pickles_and_pytrees_are_equal(shape):
    x = SparseFeatures.from_dense(matrix(shape))
    leaves, spec = pytree.tree_flatten(x)
    spec = pytree.treespec_loads(pytree.treespec_dumps(spec))
    others = [
        copy.copy(x),
        copy.deepcopy(x),
        pickle.loads(pickle.dumps(x)),  # noqa: S301
        pytree.tree_unflatten(leaves, spec),
    ]
    for other in others:
        assert other.shape == x.shape
        assert torch.equal(other.to_dense(), x.to_dense())


def test_features_are_immutable_and_readable():
    x = SparseFeatures.from_dense(torch.eye(3))
    with pytest.raises(AttributeError, match="immutable"):
        x.values = torch.zeros(3)
    assert repr(x) == "SparseFeatures(shape=[3, 3], nnz=3, dtype=torch.float32)"
    assert not x.requires_grad
    assert x.ndim == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s: SparseFeatures(s, torch.ones(2)), ValueError, r"3 entries, got shape \(2,\)"),
        (lambda s: SparseFeatures(s, torch.ones(3, 1)), ValueError, r"3 entries, got shape"),
        (lambda s: SparseFeatures(s, torch.arange(3)), TypeError, "floating tensor, got torch.int"),
        (lambda s: SparseFeatures(s, ARRAY), TypeError, "floating tensor, got ndarray"),
        (lambda s: SparseFeatures(ARRAY, torch.ones(3)), TypeError, "must be an Adjacency"),
        (
            lambda s: SparseFeatures(s, torch.ones(3, device="meta")),
            ValueError,
            "device of the structure: cpu, got meta",
        ),
        (lambda s: SparseFeatures.from_dense(torch.ones(3)), ValueError, r"got \(3,\)"),
        (lambda s: SparseFeatures.from_scipy(torch.eye(3)), TypeError, "scipy sparse matrix"),
        (lambda s: SparseFeatures.from_torch(torch.eye(3)), TypeError, "torch sparse matrix"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    structure = Adjacency.from_edge_index([[0, 1, 0], [0, 1, 2]], num_src=2, num_dst=3)
    with pytest.raises(error, match=message):
        make(structure)


def test_operands_of_wrong_shape_are_refused():
    x = SparseFeatures.from_dense(matrix())
    with pytest.raises(ValueError, match=r"x has shape \(6, 5\), got dense of shape \(6, 2\)"):
        x.matmul(torch.ones(6, 2))
    with pytest.raises(ValueError, match=r"x has 6 rows, got shape \(5,\)"):
        x.scale_rows(torch.ones(5))


def _layer(x: SparseFeatures, w: Tensor) -> Tensor:
    x = dropout(x, 0.0).scale_rows(1 / x.row_sum().clamp(min=1))
    return x.matmul(w) + x.shape[0]


@compiles
def test_compile_takes_features_of_any_size_without_compiling_again():
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(_layer, fullgraph=True, dynamic=True, backend=backend)
    w = torch.randn(5, 3, requires_grad=True)
    torch._dynamo.reset()
    for rows in (9, 30, 6):
        x = SparseFeatures.from_dense(matrix((rows, 5), torch.float32).abs())
        out, expected = compiled(x, w), _layer(x, w)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(
            torch.autograd.grad(out.sum(), w), torch.autograd.grad(expected.sum(), w)
        )
    assert backend.frame_count == 1


def test_an_exported_program_takes_features_of_another_size():
    def inputs(rows):
        return SparseFeatures.from_dense(matrix((rows, 5), torch.float32)), torch.randn(5, 2)

    program = exported(_layer, *map(inputs, (12, 9, 30)))
    args = inputs(50)
    torch.testing.assert_close(program(*args), _layer(*args))
