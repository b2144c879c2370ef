// Launchers of attention: scores, softmax and weighted sum over the edges of each destination, and
// the gradients. The arrays that they pass on are in the accumulation type.
#pragma once

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

// Whether `attention` must be given the scores of dot and gatv2.
bool needs_scores(const AttentionArgs& args);

// The scores of the edges [E, H], by CSR position.
void attention_scores(const AttentionArgs& args, int64_t num_rows, int64_t num_edges, void* scores,
                      const Where& where);

// out and lse. `scores` as above, or null. `partial`: null, or for each slot of the long rows
// heads · (dim + 2) values.
void attention(const AttentionArgs& args, int64_t num_rows, int64_t num_edges, const void* scores,
               void* partial, const Where& where);

// What the gradients need of each edge, [E, H] by CSR position: d(score), and the weight that the
// source had in the sum. `delta` is room for Σ_d grad · out of each row and head; grad_edge gets
// d(score) by edge id.
struct EdgeGradients {
  void* delta;
  void* score;
  void* weight;
};
void attention_edges(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                     const EdgeGradients& edges, const Where& where);

// out[i] = factor · Σ over the edges k of row i of weight[k] · rows[col[k]]. On the transpose
// csr.eid holds the CSR position of each of its edges.
struct HeadWeightedArgs {
  Csr csr;
  const void* rows;
  const void* weight;
  void* out;
  double factor;
  int64_t heads, dim;
  Dtype dtype;
};
void head_weighted(const HeadWeightedArgs& args, int64_t num_rows, int64_t num_edges,
                   const Partials& partials, const Where& where);

// gatv2: grad_query over the destinations; grad_value over the sources, with `args` of the
// transpose (its csr.eid the CSR positions); grad_att as rows [num_dst, H, D] whose sum it is.
void attention_gatv2_destinations(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                                  const EdgeGradients& edges, const Partials& partials,
                                  const Where& where);
void attention_gatv2_sources(const AttentionArgs& args, int64_t num_src, int64_t num_edges,
                             const EdgeGradients& edges, const Partials& partials,
                             const Where& where);
void attention_gatv2_att(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                         const EdgeGradients& edges, void* rows, const Partials& partials,
                         const Where& where);

}  // namespace gnnlib::cuda
