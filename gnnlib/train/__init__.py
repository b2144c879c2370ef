"""Training a model on one graph, many seeds of it, and what is kept of a run."""

from .checkpoint import CheckpointError as CheckpointError
from .checkpoint import load_checkpoint as load_checkpoint
from .checkpoint import save_checkpoint as save_checkpoint
from .config import TrainConfig as TrainConfig
from .examples import GraphSplit as GraphSplit
from .history import Epoch as Epoch
from .history import Run as Run
from .history import TrainResult as TrainResult
from .recipes import GRAPH_RECIPES as GRAPH_RECIPES
from .recipes import RECIPES as RECIPES
from .recipes import Recipe as Recipe
from .run import Candidate as Candidate
from .run import Outcome as Outcome
from .run import train_folds as train_folds
from .run import train_seeds as train_seeds
from .run_folder import RunFolder as RunFolder
from .saved_run import SavedRun as SavedRun
from .splits import Split as Split
from .splits import k_folds as k_folds
from .splits import random_split as random_split
from .task import Task as Task
from .tensorboard import TensorBoard as TensorBoard
from .trainer import Trainer as Trainer
from .trainer import train_seed as train_seed
