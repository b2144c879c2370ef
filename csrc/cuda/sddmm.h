// Launcher of sddmm.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

void sddmm(const SddmmArgs& args, int64_t num_rows, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
