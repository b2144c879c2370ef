"""Graph operators on tensors: deterministic, differentiable twice, compiled for the CPU.

Lengths, dtypes and devices are checked on every call. The structure (ptr, col, eid, the transpose)
is trusted, because checking it costs as much as using it: take it from an `Adjacency`, which is
validated where it is made, or from `coo_to_csr`, which checks what it sorts.
"""

from .. import _extension as _extension  # the operators exist once this is imported
from .attention import attention_dot as attention_dot
from .attention import attention_gat as attention_gat
from .attention import attention_gatv2 as attention_gatv2
from .dropout import edge_dropout as edge_dropout
from .layout import coo_to_csr as coo_to_csr
from .layout import csr_add_loops as csr_add_loops
from .layout import csr_transpose as csr_transpose
from .scatter import gather_rows as gather_rows
from .scatter import scatter as scatter
from .scatter import scatter_add_ as scatter_add_
from .sddmm import sddmm as sddmm
from .segment import segment_expand as segment_expand
from .segment import segment_reduce as segment_reduce
from .segment import segment_softmax as segment_softmax
from .spmm import spmm as spmm
