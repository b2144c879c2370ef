"""Training a model on one graph, many seeds of it, and what is kept of a run."""

from .config import TrainConfig as TrainConfig
from .recipes import RECIPES as RECIPES
from .recipes import Recipe as Recipe
from .trainer import Epoch as Epoch
from .trainer import Trainer as Trainer
from .trainer import TrainResult as TrainResult
from .trainer import train_seed as train_seed
