// Launchers of gather_rows and of the sums that scatter_add_ adds in place, on a sorted index.
// (scatter is a reduction of segments of a sorted index.)
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

void gather(const RowsArgs& args, int64_t num_rows, const Where& where);

// out[i] += Σ over the positions k of row i of x[csr.col[k]]; out is in the accumulation type of x.
struct AddRowsArgs {
  Csr csr;
  const void* x;
  void* out;
  int64_t dim;
  Dtype dtype;
};
void add_rows(const AddRowsArgs& args, int64_t num_rows, int64_t num_edges,
              const Partials& partials, const Where& where);

}  // namespace gnnlib::cuda
