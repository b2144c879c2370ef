// Launchers of spmm and of the gradients of its max and min. Their arguments are those of the CPU
// kernels, with pointers into the memory of the device.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

void spmm(const SpmmArgs& args, int64_t num_rows, int64_t num_edges, const Partials& partials,
          const Where& where);

// On the transpose: csr is (t_ptr, t_row, t_pos), with num_src rows.
void arg_backward(const ArgBackwardArgs& args, int64_t num_src, int64_t num_edges,
                  const Partials& partials, const Where& where);

// row[p] = i for each position p that has won in row i; the others keep what they have.
void winner_rows(const ArgBackwardArgs& args, void* row, const Where& where);

// The gradient of the weights [E] or [E, H] of max and min.
void arg_weight(const ArgWeightArgs& args, int64_t num_rows, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
