"""Checks an installed gnnlib from outside a checkout: `python smoke.py kernels|reference`."""

import sys
import warnings
from pathlib import Path

import torch

expected = sys.argv[1]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import gnnlib
    from gnnlib import _extension, ops

here = Path(gnnlib.__file__).resolve()
assert "site-packages" in here.parts, f"not the installed package: {here}"

# Destination 0 receives from nodes 1 and 2, destination 1 from node 0.
ptr, col = torch.tensor([0, 2, 3]), torch.tensor([1, 2, 0])
x = torch.arange(12.0).reshape(3, 4).requires_grad_()
out = ops.spmm(ptr, col, x, transpose=ops.csr_transpose(ptr, col, 3))
assert torch.equal(out, torch.stack([x[1] + x[2], x[0]])), out
out.sum().backward()
assert x.grad is not None and torch.equal(x.grad, torch.ones(3, 4)), x.grad

clone = _extension.cpu_capability()
kernels = ["baseline", "avx2", "avx512"] if expected == "kernels" else ["reference"]
assert clone in kernels, f"expected {kernels}, and {clone} runs"
said = [w for w in caught if "without its compiled kernels" in str(w.message)]
assert len(said) == (expected == "reference"), f"{len(said)} warnings of missing kernels"
print(f"gnnlib {gnnlib.__version__} on torch {torch.__version__}: spmm runs, kernels: {clone}")
