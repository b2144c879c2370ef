// Launcher of sddmm.
#pragma once

#include "../cpu/kernels.h"

namespace gnnlib::cuda {

using cpu::EdgeOp;
using cpu::SddmmArgs;

struct Where;

void sddmm(const SddmmArgs& args, int64_t num_rows, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
