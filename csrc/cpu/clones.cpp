// The kernels for one instruction set. The build compiles this file once per clone, with
// GNNLIB_CLONE its name and the compiler flags that go with it.
#ifndef GNNLIB_CLONE
#error "the build defines GNNLIB_CLONE: baseline, avx2 or avx512"
#endif

// Vectors of 64 bytes a register tile may hold without spilling.
#if defined(__AVX512F__)
#define GNNLIB_TILE 8
#else
#define GNNLIB_TILE 4
#endif

#include "attention.h"
#include "attention_backward.h"
#include "dropout.h"
#include "scatter.h"
#include "sddmm.h"
#include "segment.h"
#include "spmm.h"

#define GNNLIB_STRING_(x) #x
#define GNNLIB_STRING(x) GNNLIB_STRING_(x)

namespace gnnlib::cpu::GNNLIB_CLONE {

extern const Kernels table;
const Kernels table = {
    GNNLIB_STRING(GNNLIB_CLONE),
    spmm,
    arg_backward,
    arg_weight,
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
