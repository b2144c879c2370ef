"""Our classes as pytrees, for torch.export and tree_map."""

from collections.abc import Callable
from typing import Any

from torch.utils._pytree import GetAttrKey, register_pytree_node


def register(
    cls: type,
    flatten: Callable[[Any], tuple[dict[str, Any], Any]],
    unflatten: Callable[[dict[str, Any], Any], Any],
) -> None:
    """Make `cls` a pytree.

    Args:
        cls: the class.
        flatten: object to leaves by name, and whatever else it is made of, which JSON must hold. An
            exported program takes only inputs with the same leaves and the same rest: so sizes
            that may vary are left out, and read off the leaves again.
        unflatten: the reverse. It checks nothing, for leaves may be no tensors: torch also
            unflattens specs and placeholders.
    """

    def flatten_leaves(value: Any) -> tuple[list[Any], Any]:
        leaves, rest = flatten(value)
        return list(leaves.values()), [list(leaves), rest]

    def flatten_with_keys(value: Any) -> tuple[list[tuple[Any, Any]], Any]:
        leaves, rest = flatten(value)
        keyed = [(GetAttrKey(name), leaf) for name, leaf in leaves.items()]
        return keyed, [list(leaves), rest]

    def unflatten_leaves(leaves: Any, context: Any) -> Any:
        names, rest = context
        return unflatten(dict(zip(names, leaves)), rest)

    register_pytree_node(
        cls,
        flatten_leaves,
        unflatten_leaves,
        serialized_type_name=f"gnnlib.{cls.__name__}",
        flatten_with_keys_fn=flatten_with_keys,
        to_dumpable_context=lambda context: context,
        from_dumpable_context=lambda context: context,
    )


def rows(leaf: Any) -> int | None:
    """Rows of a leaf, if it is a tensor."""
    shape = getattr(leaf, "shape", None)
    return shape[0] if shape else None
