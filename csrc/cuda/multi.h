// Launchers of spmm_multi and its gradient.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

// What the pieces of long rows leave behind in each slot, `dim` of each; null where no row can be
// long.
struct MultiPartials {
  void* sum;  // in the accumulation type, as are
  void* top;
  void* bottom;
  void* top_at;  // positions
  void* bottom_at;
};

void multi(const MultiArgs& args, int64_t num_rows, int64_t num_edges,
           const MultiPartials& partials, const Where& where);

// On the transpose.
void multi_backward(const MultiArgs& args, int64_t num_src, int64_t num_edges,
                    const Partials& partials, const Where& where);

}  // namespace gnnlib::cuda
