"""How well predictions meet the truth: classes, several labels a row, and numbers."""

from .counts import accuracy as accuracy
from .counts import confusion_matrix as confusion_matrix
from .counts import f1_macro as f1_macro
from .counts import f1_micro as f1_micro
from .deviations import mae as mae
from .deviations import rmse as rmse
from .ranks import average_precision as average_precision
from .ranks import roc_auc as roc_auc
