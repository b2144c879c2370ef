// The table of CPU kernels.
//
// The kernels (spmm.h, sddmm.h, …) are compiled once per instruction set by the files of clones/;
// each clone fills one `Kernels` table, and capability.cpp picks the table at load time.
#pragma once

#include "../arguments.h"

namespace gnnlib::cpu {

// Each works on the rows [first, last), and writes to nothing outside them (arg_weight,
// spmm_add_edge, sddmm and the softmax: to the edges of these rows). gather: [first, last) of the
// index. scatter_add: only edges whose index lies in [first, last). arg_backward: only the sources
// [first, last), of the features [start, stop); room: as many values of the accumulation type.
struct Kernels {
  const char* name;
  void (*spmm)(const SpmmArgs&, int64_t first, int64_t last);
  void (*spmm_add)(const SpmmAddArgs&, int64_t first, int64_t last);
  void (*spmm_add_gate)(const SpmmAddArgs&, int64_t first, int64_t last);
  void (*spmm_add_edge)(const SpmmAddArgs&, int64_t first, int64_t last);
  void (*arg_backward)(const ArgBackwardArgs&, int64_t first, int64_t last, int64_t start,
                       int64_t stop, void* room);
  void (*arg_backward_rows)(const ArgBackwardArgs&, int64_t first, int64_t last);
  void (*arg_weight)(const ArgWeightArgs&, int64_t first, int64_t last);
  void (*multi)(const MultiArgs&, int64_t first, int64_t last);
  void (*multi_backward)(const MultiArgs&, int64_t first, int64_t last);
  void (*sddmm)(const SddmmArgs&, int64_t first, int64_t last);
  void (*softmax)(const SoftmaxArgs&, int64_t first, int64_t last);
  void (*softmax_backward)(const SoftmaxArgs&, int64_t first, int64_t last);
  void (*attention)(const AttentionArgs&, int64_t first, int64_t last);
  void (*attention_pack)(const AttentionArgs&, int64_t first, int64_t last);
  void (*attention_gat_sources)(const AttentionArgs&, int64_t first, int64_t last);
  void (*attention_destinations)(const AttentionArgs&, int64_t first, int64_t last);
  void (*attention_sources)(const AttentionArgs&, int64_t first, int64_t last);
  void (*expand)(const Csr&, const RowsArgs&, int64_t first, int64_t last);
  void (*gather)(const RowsArgs&, int64_t first, int64_t last);
  void (*scatter_add)(const ScatterAddArgs&, int64_t first, int64_t last);
  void (*dropout)(const DropoutArgs&, int64_t first, int64_t last);
};

// The clone chosen for this processor.
const Kernels& kernels();

}  // namespace gnnlib::cpu
