// Launcher of the dropout of edge weights.
#pragma once

#include "../cpu/kernels.h"

namespace gnnlib::cuda {

using cpu::DropoutArgs;

struct Where;

void dropout(const DropoutArgs& args, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
