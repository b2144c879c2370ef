"""DataLoader: mini-batches of many graphs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch.utils.data
from torch import Generator
from torch.utils.data import Subset

from ..batch import Batch
from ..datasets import Dataset
from ..graph import Graph


class DataLoader(torch.utils.data.DataLoader):
    """Goes through many graphs in mini-batches: each is a Batch of `batch_size` graphs.

    The graphs are joined once, and `Batch.select` takes each mini-batch from there: a few gathers,
    whatever the number of graphs. `loader.dataset` is that Batch. Workers share it.

    A sequence of another class may compute its graphs as they are asked for, for example with a
    random transform. Its mini-batches are made by `Batch.from_graphs`.

    Args:
        dataset: a Batch, a Dataset, a list of Graphs, a `torch.utils.data.Subset` of one of them,
            or any sequence of Graphs.
        batch_size: graphs in a mini-batch; the last one may have fewer.
        shuffle: another order in each epoch.
        drop_last: leave out a last mini-batch that is not full.
        sampler, batch_sampler: the numbers of the graphs, or those of each mini-batch, in place of
            `shuffle` (and of `batch_size`), as torch has them.
        num_workers: processes that prepare mini-batches; 0: they are prepared where they are used.
        pin_memory: in page-locked memory, for `batch.to("cuda", non_blocking=True)`.
        generator: draws the orders; with the same seed they are the same.
        **options: further ones of `torch.utils.data.DataLoader`, for example `persistent_workers`.

    Raises:
        TypeError: what is no sequence of Graphs, or a `collate_fn`.
        ValueError: no graphs, or graphs whose tensors differ.

    Example:
        >>> pair = Graph([[0], [1]], x=torch.zeros(2, 3), graph_y=torch.tensor([0]))
        >>> loop = Graph([[0], [0]], x=torch.ones(1, 3), graph_y=torch.tensor([1]))
        >>> for batch in DataLoader([pair, loop, pair], batch_size=2):
        ...     print(batch)
        Batch(num_graphs=2, num_nodes=3, num_edges=2, x=[3, 3], graph_y=[2])
        Batch(num_graphs=1, num_nodes=2, num_edges=1, x=[2, 3], graph_y=[1])
    """

    def __init__(
        self,
        dataset: Batch | Sequence[Graph] | Subset,
        batch_size: int | None = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        generator: Generator | None = None,
        **options: Any,
    ):
        if "collate_fn" in options:
            raise TypeError("collate_fn is not taken: a mini-batch is the Batch of its graphs")
        super().__init__(
            joined(dataset),
            batch_size,
            shuffle,
            drop_last=drop_last,
            sampler=sampler,
            batch_sampler=batch_sampler,
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=generator,
            collate_fn=_as_batch,
            **options,
        )

    def __iter__(self) -> Iterator[Any]:  # of Batches, which torch's annotation does not know
        return super().__iter__()


def joined(dataset: Any) -> Any:
    """The graphs as one Batch, where they are there already."""
    if isinstance(dataset, Subset):
        graphs = joined(dataset.dataset)
        return graphs.select(list(dataset.indices)) if isinstance(graphs, Batch) else dataset
    if isinstance(dataset, Dataset):
        dataset = dataset._graphs
    if isinstance(dataset, (list, tuple)):
        return Batch.from_graphs(dataset)
    if isinstance(dataset, Batch) or (
        hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    ):
        return dataset
    raise TypeError(f"dataset must be a sequence of Graphs, got {type(dataset).__name__}")


def _as_batch(graphs: Any) -> Graph:
    """What torch fetched: a Batch or, with batch_size=None, a Graph; else a list of Graphs."""
    return graphs if isinstance(graphs, Graph) else Batch.from_graphs(graphs)
