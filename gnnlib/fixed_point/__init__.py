"""Fixed points of contractions: solvers, stopping rules, certificates and gradients.

Nothing in this package knows of graphs; `gnnlib.conv.GNNConv` is built on it.
"""

from .anderson import Anderson as Anderson
from .auto import Auto as Auto
from .backward import Implicit as Implicit
from .backward import Phantom as Phantom
from .backward import Unrolled as Unrolled
from .contraction import Contraction as Contraction
from .failure import FixedPointDivergence as FixedPointDivergence
from .failure import FixedPointWarning as FixedPointWarning
from .lipschitz import Lipschitz as Lipschitz
from .picard import Picard as Picard
from .report import BackwardReport as BackwardReport
from .report import Report as Report
from .report import Status as Status
from .solve import solve as solve
from .stop import Stop as Stop
