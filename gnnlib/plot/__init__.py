"""Pictures of runs, as matplotlib figures; needs the extra `gnnlib[plot]`."""

from .attention import attention as attention
from .confusion import confusion as confusion
from .convergence import convergence as convergence
from .curves import curves as curves
from .embedding import embedding as embedding
