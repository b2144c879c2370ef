// Launchers of the softmax over the edges of each destination, its gradient, and the spread of rows
// to edges. (Segment sums and extremes are spmm without columns.)
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

// `stats`: room for 2 · heads values in the accumulation type for each row and for each of the
// 2 · num_chunks(num_edges) slots. softmax_backward takes the result in `scores`.
void softmax(const SoftmaxArgs& args, int64_t num_rows, int64_t num_edges, void* stats,
             const Where& where);
void softmax_backward(const SoftmaxArgs& args, int64_t num_rows, int64_t num_edges, void* stats,
                      const Where& where);

// `args.index` is eid or null.
void expand(const Csr& csr, const RowsArgs& args, int64_t num_rows, int64_t num_edges,
            const Where& where);

}  // namespace gnnlib::cuda
