"""The operators as torch.library knows them: their table, their contracts, and their builds."""

import ctypes
import functools
import gc
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gnnlib
from gnnlib import _extension
from gnnlib.ops import reference
from gnnlib.ops._schema import SCHEMAS
from tests.ops.cases import DTYPES, answers, assert_close, make_csr, values

ROOT = Path(__file__).parents[2]
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _operator(name):
    return getattr(torch.ops.gnnlib, name).default


def _calls():
    """One call of each operator, more where an optional argument changes the way."""
    csr = make_csr("directed_random")
    ptr, col, eid = csr[:3]
    e, n = csr.num_edges, csr.num_src
    x, y, weight, heads = values(n, 2, 3), values(n, 2, 3), values(e), values(e, 2)
    arg = reference.spmm_arg(ptr, col, eid, heads, x, "max")[1]
    back = csr.transpose
    soft = reference.segment_softmax(ptr, eid, heads)
    index = csr.edge % n
    attention = [("gat", (x, y[..., 0], None, heads)), ("gatv2", (x, y, x[0]))]
    attention.append(("dot", (x, y, x, heads)))
    forward, backward = [], []
    for kind, tensors in attention:
        how = (0.2, 0.3, torch.tensor(3))
        results = getattr(reference, f"attention_{kind}")(ptr, col, eid, *tensors, *how)
        forward.append((f"attention_{kind}", (ptr, col, eid, *tensors, *how)))
        arguments = (ptr, col, eid, *back, *tensors, *results, y, *how)
        backward.append((f"attention_{kind}_backward", arguments))
    return [
        *forward,
        *backward,
        ("coo_to_csr", (csr.row, col, n)),
        ("csr_transpose", (ptr, col, n)),
        ("csr_add_loops", (ptr, col, eid)),
        ("csr_add_loops", (ptr, col, None)),
        ("spmm", (ptr, col, eid, heads, x, "sum", values(n), values(n))),
        ("spmm", (ptr, col, None, weight, x, "mul", None, None)),
        ("spmm", (ptr, None, None, None, weight, "mean", None, None)),
        ("spmm", (ptr, col, eid, heads, x, "min", None, None)),
        ("spmm_arg", (ptr, col, eid, heads, x, "max")),
        ("spmm_arg", (ptr, eid, None, None, heads, "min")),
        ("spmm", (ptr, col, eid, values(e, 2, 3), x, "sum", None, None)),
        ("spmm_arg_backward", (col, eid, heads, x, arg, n, None, None, None)),
        ("spmm_arg_backward", (col, None, None, x, arg, n, *back)),
        ("spmm_multi", (ptr, col, x.flatten(1), "max,std,sum,min")),
        ("spmm_multi", (ptr, col, x.flatten(1), "mean")),
        ("spmm_multi_backward", (*back[:2], *(values(n, 3) for _ in range(4)))),
        ("propagate", (ptr, col, eid, weight, x, 3, 0.1, values(n), values(n))),
        ("propagate_powers", (ptr, col, None, None, x, 2, None, None)),
        ("propagate_horner", (ptr, col, eid, weight, x, values(n), None)),
        ("spmm_arg_weight", (ptr, col, eid, x, y, arg, e)),
        ("spmm_add", (ptr, col, eid, x, y, values(e, 2, 3), 0.5, True, "mean")),
        ("spmm_add", (ptr, col, None, x, None, weight, 1.0, False, "sum")),
        ("spmm_add_arg", (ptr, col, eid, x, weight, 1.0, "min")),
        ("spmm_add_gate", (ptr, col, eid, None, y, values(e, 2, 3), 1.0, x, False)),
        ("spmm_add_edge", (ptr, col, eid, x, y, weight, 1.0, y)),
        ("sddmm", (ptr, col, eid, x, y, "dot")),
        ("sddmm", (ptr, col, None, x[..., 0], y[..., 0], "mul")),
        ("sddmm", (ptr, col, eid, None, y[..., 0, 0], "copy")),
        ("segment_expand", (ptr, eid, x, e)),
        ("segment_softmax", (ptr, eid, heads)),
        ("segment_softmax_backward", (ptr, eid, soft, heads)),
        ("edge_dropout", (heads, eid, 0.5, torch.tensor(3))),
        ("edge_dropout", (weight, None, 0.0, torch.tensor(3))),
        ("gather_rows", (x, index)),
        ("scatter", (heads, index, n, "mean")),
        ("scatter_arg", (heads, index, n, "min")),
        ("scatter_add_", (values(n, 2), heads, index)),
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_table_is_what_is_registered(name):
    assert str(_operator(name)._schema) == f"gnnlib::{name}{SCHEMAS[name]}"


def test_the_table_is_whole_and_the_reference_answers_every_line_of_it():
    registered = {
        schema.name.removeprefix("gnnlib::")
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("gnnlib::")
    }
    assert registered == set(SCHEMAS) == {name for name, _ in _calls()}
    for name, schema in SCHEMAS.items():
        arguments = re.findall(r"(\w+)[,)]", schema.split("->")[0])
        code = getattr(reference, name).__code__
        assert list(code.co_varnames[: code.co_argcount]) == arguments


@pytest.mark.parametrize("name", SCHEMAS)
def test_operators_keep_the_contract_of_torch_library(name):
    for other, arguments in _calls():
        if other == name:
            torch.library.opcheck(_operator(name), arguments)


# builds ------------------------------------------------------------------------------------------


def _kernel_answers(dtype, index):
    return list(answers(_operator, dtype, index))


@functools.cache
def _reference_answers(dtype, index):
    return list(answers(lambda name: getattr(reference, name), dtype, index))


def _assert_reference(got, dtype, index):
    expected = _reference_answers(dtype, index)
    assert [label for label, _ in got] == [label for label, _ in expected]
    for (label, actual), (_, right) in zip(got, expected):
        assert_close(actual, right, label)


@pytest.mark.parametrize(("dtype", "index"), DTYPES)
def test_the_kernels_agree_with_the_reference_for_every_size_of_a_row(dtype, index):
    _assert_reference(_kernel_answers(dtype, index), dtype, index)


def _answers_of_a_process(folder, **environment):
    """What another build or clone answers: (its name, the warnings, the answers by dtype)."""
    program = f"""
import json, sys, warnings
sys.path[:0] = {[str(folder), str(ROOT)]!r}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import gnnlib
    import gnnlib.ops
import torch
from gnnlib import _extension
from tests.ops.test_schema import DTYPES, _kernel_answers
torch.set_num_threads(1)
torch.save([_kernel_answers(*kind) for kind in DTYPES], sys.argv[1])
texts = [str(w.message) for w in caught]
print(json.dumps([_extension.cpu_capability(), gnnlib.__file__, texts]))
"""
    target = folder / "answers.pt"
    done = subprocess.run(
        [sys.executable, "-c", program, str(target)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    capability, file, texts = json.loads(done.stdout.splitlines()[-1])
    return capability, file, texts, torch.load(target, weights_only=True)


@pytest.mark.cpu
@pytest.mark.skipif(not _extension.has_kernels, reason="built without kernels")
@pytest.mark.parametrize("clone", ["baseline", "avx2", "avx512"])
def test_every_clone_agrees_with_the_reference(clone, tmp_path):
    below = ["baseline", "avx2", "avx512"]
    if below.index(clone) > below.index(_extension.cpu_capability()):
        pytest.skip(f"this processor or build has no {clone}")
    got, _, texts, results = _answers_of_a_process(tmp_path, GNNLIB_CPU_CAPABILITY=clone)
    assert got == clone
    assert texts == []
    for kind, result in zip(DTYPES, results, strict=True):
        _assert_reference(result, *kind)


@pytest.mark.cpu
def test_without_kernels_the_package_says_so_once_and_gives_the_same_results(tmp_path):
    package = Path(gnnlib.__file__).parent
    shutil.copytree(
        package, tmp_path / "gnnlib", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    got, file, texts, results = _answers_of_a_process(tmp_path)
    assert got == "reference"
    assert Path(file).is_relative_to(tmp_path)
    assert len(texts) == 1
    assert "runs without its compiled kernels" in texts[0]
    for kind, result in zip(DTYPES, results, strict=True):
        _assert_reference(result, *kind)


@pytest.mark.skipif(
    not _extension.has_kernels or _extension.has_cuda_kernels(), reason="the build has no stub"
)
def test_a_build_without_cuda_says_how_to_get_it():
    for name, arguments in _calls():
        with pytest.raises(RuntimeError, match=r"has no CUDA kernels.*rebuild.*GNNLIB_CUDA=1 pip"):
            _operator(name)._op_dk(torch._C.DispatchKey.CUDA, *arguments)


class _Malloc(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
        .split()
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(LIBC, "mallinfo2"), reason="asks glibc for the memory in use")
@pytest.mark.parametrize("call", range(len(_calls())), ids=lambda n: f"{n}-{_calls()[n][0]}")
def test_a_call_leaves_no_memory_behind(call):
    """A few bytes a call are much: small blocks that stay keep large freed ones from being joined
    and used again."""
    assert LIBC is not None
    LIBC.mallinfo2.restype = _Malloc
    name, args = _calls()[call]
    operator = _operator(name)

    def in_use() -> int:
        gc.collect()
        info = LIBC.mallinfo2()
        return info.uordblks + info.hblkhd

    for _ in range(50):
        operator(*args)
    before = in_use()
    for _ in range(500):
        operator(*args)
    assert (in_use() - before) / 500 < 8
