"""Which of the shared checks hold for a layer whose loop ends when its data says so.

Its forward pass cannot be traced: the checks of torch.compile, torch.export and torch.func are for
the layer unrolled.
"""

from tests import properties

TRACED_CHECKS = [
    properties.torch_func_gives_the_same_gradients,
    properties.it_exports_for_all_sizes,
    properties.it_compiles_to_one_graph_for_all_sizes,
]
EAGER_CHECKS = [check for check in properties.CHECKS if check not in TRACED_CHECKS]
