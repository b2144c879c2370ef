// Launcher of the dropout of edge weights.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

void dropout(const DropoutArgs& args, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
