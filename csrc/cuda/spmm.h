// Launchers of spmm. Their arguments are those of the CPU kernels, with pointers into the memory of
// the device.
#pragma once

#include "../cpu/kernels.h"

namespace gnnlib::cuda {

using cpu::Dtype;
using cpu::Reduce;
using cpu::SpmmArgs;
using cpu::Weights;

struct Where;

// `partial` has room for 2 · num_chunks(num_edges) rows in the accumulation type, `partial_arg` for
// as many positions (max and min); both null where no row can be long.
void spmm(const SpmmArgs& args, int64_t num_rows, int64_t num_edges, void* partial,
          void* partial_arg, const Where& where);

}  // namespace gnnlib::cuda
