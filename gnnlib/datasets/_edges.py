"""What most sources need of their edge lists: each edge once, in both directions, without loops."""

import numpy as np


def distinct(
    src: np.ndarray,
    dst: np.ndarray,
    num_nodes: int,
    *,
    both_ways: bool = False,
    loops: bool = False,
) -> np.ndarray:
    """edge_index [2, E] of the distinct edges src → dst, by destination and then by source.

    That is the order in which an Adjacency stores them, so that nothing is sorted again. Nodes are
    in [0, num_nodes), which the caller has checked.

    Args:
        both_ways: add the reverse of each edge.
        loops: keep self-loops.

    Example:
        >>> distinct(np.array([0, 0, 1, 2]), np.array([1, 1, 0, 2]), 3).tolist()
        [[1, 0], [0, 1]]
    """
    src, dst = np.asarray(src, dtype=np.int64), np.asarray(dst, dtype=np.int64)
    if not loops:
        kept = src != dst
        src, dst = src[kept], dst[kept]
    if both_ways:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
    place = np.sort(dst * num_nodes + src)
    place = place[np.diff(place, prepend=-1) != 0]
    dst, src = np.divmod(place, max(num_nodes, 1))
    return np.stack([src, dst])
