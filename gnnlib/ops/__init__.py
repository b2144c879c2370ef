"""Graph operators on tensors: deterministic, differentiable twice, compiled for the CPU.

Bad input is one error that names the argument, the rule and what came. Lengths, dtypes, devices
and the whole of ptr are looked at on every call; the ids in col, eid, t_row and t_pos once a
tensor, and again when somebody has written into it. What an `Adjacency` holds, and what the
operators of layout make, is known to be right. Inside torch.compile, torch.export and torch.func
ids are trusted; that a transpose is the one of ptr and col is trusted everywhere.
"""

from .. import _extension as _extension  # the operators exist once this is imported
from .attention import attention_dot as attention_dot
from .attention import attention_gat as attention_gat
from .attention import attention_gatv2 as attention_gatv2
from .dropout import edge_dropout as edge_dropout
from .layout import coo_to_csr as coo_to_csr
from .layout import csr_add_loops as csr_add_loops
from .layout import csr_transpose as csr_transpose
from .multi import spmm_multi as spmm_multi
from .propagate import propagate as propagate
from .propagate import propagate_horner as propagate_horner
from .propagate import propagate_powers as propagate_powers
from .scatter import gather_rows as gather_rows
from .scatter import scatter as scatter
from .scatter import scatter_add_ as scatter_add_
from .sddmm import sddmm as sddmm
from .segment import segment_expand as segment_expand
from .segment import segment_reduce as segment_reduce
from .segment import segment_softmax as segment_softmax
from .spmm import spmm as spmm
from .spmm_add import spmm_add as spmm_add
