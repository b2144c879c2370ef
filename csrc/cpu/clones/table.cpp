// The kernels of one instruction set. The build compiles every file of this folder once per clone,
// with GNNLIB_CLONE its name and the compiler flags that go with it.
#ifndef GNNLIB_CLONE
#error "the build defines GNNLIB_CLONE: baseline, avx2 or avx512"
#endif

#include <type_traits>

#include "../kernels.h"

#define GNNLIB_STRING_(x) #x
#define GNNLIB_STRING(x) GNNLIB_STRING_(x)

namespace gnnlib::cpu::GNNLIB_CLONE {

#define GNNLIB_KERNEL(name) std::remove_pointer_t<decltype(Kernels::name)> name
GNNLIB_KERNEL(spmm);
GNNLIB_KERNEL(spmm_add);
GNNLIB_KERNEL(spmm_add_gate);
GNNLIB_KERNEL(spmm_add_edge);
GNNLIB_KERNEL(arg_backward);
GNNLIB_KERNEL(arg_backward_rows);
GNNLIB_KERNEL(arg_weight);
GNNLIB_KERNEL(multi);
GNNLIB_KERNEL(multi_backward);
GNNLIB_KERNEL(sddmm);
GNNLIB_KERNEL(softmax);
GNNLIB_KERNEL(softmax_backward);
GNNLIB_KERNEL(attention);
GNNLIB_KERNEL(attention_pack);
GNNLIB_KERNEL(attention_gat_sources);
GNNLIB_KERNEL(attention_destinations);
GNNLIB_KERNEL(attention_sources);
GNNLIB_KERNEL(expand);
GNNLIB_KERNEL(gather);
GNNLIB_KERNEL(scatter_add);
GNNLIB_KERNEL(dropout);

extern const Kernels table;
const Kernels table = {
    GNNLIB_STRING(GNNLIB_CLONE),
    spmm,
    spmm_add,
    spmm_add_gate,
    spmm_add_edge,
    arg_backward,
    arg_backward_rows,
    arg_weight,
    multi,
    multi_backward,
    sddmm,
    softmax,
    softmax_backward,
    attention,
    attention_pack,
    attention_gat_sources,
    attention_destinations,
    attention_sources,
    expand,
    gather,
    scatter_add,
    dropout,
};

}  // namespace gnnlib::cpu::GNNLIB_CLONE
