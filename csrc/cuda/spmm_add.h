// Launchers of spmm_add and of the gradients behind its relu.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

void spmm_add(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
              const Partials& partials, const Where& where);
void spmm_add_gate(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
                   const Partials& partials, const Where& where);
void spmm_add_edge(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
                   const Where& where);

}  // namespace gnnlib::cuda
