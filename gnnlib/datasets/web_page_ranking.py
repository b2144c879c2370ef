"""Web page ranking: PageRank, and twice as much for pages on one of two topics."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..graph import Graph
from ._dataset import Dataset
from ._generated import LICENCE, THE_MODEL, as_count, node_masks, seeded


class WebPageRanking(Dataset):
    """A random web, and a ranking of its pages that depends on links and on topics.

    One directed graph; an edge is a link. `x` [N, 2] says, with 0 or 1, whether a page is on each
    of two topics a and b. `y` [N] is the page's rank,

        y_n = 2·p_n  if n is on one topic but not on both (a_n ⊕ b_n = 1),  else p_n,

    where p is PageRank: p_n = (1 − d) + d·Σ_{m→n} p_m / out-degree(m), about 1 on average. As it
    is a number, the dataset has no classes.

    From the paper: 5000 pages, the topics and the target, 50 pages to train on, 50 to validate on,
    the rest to test on. Our choices: d = 0.85, `mean_degree`, evenly drawn links and topics, and
    the scale of p.

    Args:
        num_nodes: N, pages.
        mean_degree: links of a page, on average.
        num_train, num_val: pages to train and to validate on.
        damping: d.
        seed: draws everything.
        transform: applied once to the graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: too few pages for the split or the links, or d outside [0, 1).

    References:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "The graph neural network model", IEEE
        Transactions on Neural Networks 20(1), 2009, section IV-C. Brin and Page, "The anatomy of a
        large-scale hypertextual web search engine", Computer Networks 30, 1998.

    Example:
        >>> from gnnlib.datasets import WebPageRanking
        >>> dataset = WebPageRanking(500)
        >>> dataset
        WebPageRanking('web_page_ranking', num_graphs=1, num_features=2, num_classes=0)
        >>> bool((dataset[0].y > 0).all())
        True
    """

    def __init__(
        self,
        num_nodes: int = 5000,
        mean_degree: float = 10.0,
        *,
        num_train: int = 50,
        num_val: int = 50,
        damping: float = 0.85,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes, least=2)
        if not 0 <= mean_degree <= (num_nodes - 1) / 2:
            raise ValueError(
                f"mean_degree must be in [0, {(num_nodes - 1) / 2}], half of the other pages; got"
                f" {mean_degree}"
            )
        if not 0 <= damping < 1:
            raise ValueError(f"damping must be in [0, 1), got {damping}")
        generator = seeded(seed)
        edge_index = _links(num_nodes, round(mean_degree * num_nodes), generator)
        topics = torch.randint(2, (num_nodes, 2), generator=generator)
        rank = pagerank(edge_index, num_nodes, damping)
        y = torch.where(topics.sum(1) == 1, 2 * rank, rank)
        order = torch.randperm(num_nodes, generator=generator)
        graph = Graph(
            edge_index,
            x=topics.float(),
            y=y.float(),
            **node_masks(num_nodes, num_train, num_val, order),
        )
        super().__init__(
            "web_page_ranking",
            [graph],
            num_classes=0,
            licence=LICENCE,
            citation=THE_MODEL,
            transform=transform,
        )


def _links(num_nodes: int, num_edges: int, generator: torch.Generator) -> Tensor:
    """That many different edges without loops, [2, E]."""
    edges = torch.empty(0, dtype=torch.long)  # j·N + i for i → j
    while len(edges) < num_edges:
        ends = torch.randint(num_nodes, (2, 2 * num_edges), generator=generator)
        ends = ends[:, ends[0] != ends[1]]
        edges = torch.cat([edges, ends[1] * num_nodes + ends[0]]).unique()
    chosen = torch.randperm(len(edges), generator=generator)[:num_edges]
    edges = edges[chosen].sort().values
    return torch.stack([edges % num_nodes, edges // num_nodes])


def pagerank(edge_index: Tensor, num_nodes: int, damping: float) -> Tensor:
    """PageRank [N] in float64: p_n = (1 − d) + d·Σ_{m→n} p_m / out-degree(m).

    Example:
        >>> pagerank(torch.tensor([[0, 1], [1, 0]]), 2, damping=0.85)
        tensor([1., 1.], dtype=torch.float64)
    """
    source, destination = edge_index
    share = damping / torch.bincount(source, minlength=num_nodes)[source].double()  # [E]
    rank = torch.ones(num_nodes, dtype=torch.float64)
    change = float("inf")
    while change > 1e-12:
        before = rank
        rank = torch.full_like(rank, 1 - damping).index_add(0, destination, share * rank[source])
        change = float((rank - before).abs().max())
    return rank
