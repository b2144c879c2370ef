// What the bindings hand to the kernels of any device: plain pointers and sizes, no torch.
#pragma once

#include <cstdint>

namespace gnnlib {

enum class Dtype { f32, f64, bf16, f16 };
enum class Reduce { sum, mean, mul, max, min };
enum class Weights { none, edge, head, feature };
enum class EdgeOp { dot, add, sub, mul, copy };

// A CSR by destination. `wide`: ptr, col and eid (and every index beside them) are int64.
struct Csr {
  const void* ptr;
  const void* col;  // null: position k reads row k
  const void* eid;  // null: position k is edge k
  bool wide;
};

struct SpmmArgs {
  Csr csr;
  const void* weight;     // null, [E], [E, heads] or [E, heads, dim]
  const void* x;          // [num_src, heads, dim], x_stride values from row to row
  void* out;              // [num_dst, heads, dim], out_stride
  void* arg;              // null or [num_dst, heads, dim], for max and min
  const void* row_scale;  // null or [num_dst], in the accumulation type
  const void* col_scale;  // null or [num_src]
  const void* term;       // null or [num_dst, heads, dim], term_stride: added times term_factor
  int64_t heads, dim;     // one head of all the values unless the weights are per head
  int64_t x_stride, out_stride, term_stride;
  double factor, term_factor;  // of sums and means
  Dtype dtype;
  Reduce reduce;
  Weights weights;
  bool cached;  // x is small enough to stay in a core's cache: no prefetch
};

struct SpmmAddArgs {
  Csr csr;
  const void* x;     // [num_src, dim]; spmm_add_gate: or null
  const void* y;     // null or [num_dst, dim]
  const void* edge;  // null, [E, dim] or [E]
  const void* grad;  // of the gradients: [num_dst, dim]; spmm_add_gate: or [num_src, dim]
  void* out;         // [num_dst, dim]; spmm_add_edge: like edge
  void* arg;         // [num_dst, dim], for max and min
  int64_t dim;
  double alpha;
  Dtype dtype;
  Reduce reduce;
  bool edge_is_number, relu, grad_is_own;
};

struct ArgBackwardArgs {
  Csr csr;         // arg_backward: col and eid; arg_backward_rows: the transpose, eid its positions
  const void* id;  // arg_backward_rows: null, or the edge id of each position
  const void* weight;
  const void* grad;  // [num_rows, heads, dim]
  const void* arg;
  void* out;  // [num_src, heads, dim]
  int64_t num_rows, heads, dim;
  Dtype dtype;
  Weights weights;
};

struct ArgWeightArgs {
  Csr csr;
  const void* grad;
  const void* x;
  const void* arg;
  void* out;  // [E, heads]
  int64_t heads, dim;
  Dtype dtype;
};

struct MultiArgs {
  Csr csr;
  const void* x;  // [num_src, dim]
  void* out;      // [num_dst, slots, dim]; backward: [num_src, dim]
  void* mean;     // [num_dst, dim], in the accumulation type: written for std, read in its backward
  void* arg_max;  // null or [num_dst, dim]
  void* arg_min;
  const void* even;    // backward only, like mean
  const void* spread;  // likewise
  int64_t dim, slots;
  int64_t sum_slot, mean_slot, max_slot, min_slot, std_slot;  // −1: not wanted
  Dtype dtype;
};

struct SddmmArgs {
  Csr csr;
  const void* a;  // [num_dst, heads, dim]; null for copy
  const void* b;  // [num_src, heads, dim]
  void* out;      // dot: [E, heads]; else dim == 1 and the same
  int64_t heads, dim;
  Dtype dtype;
  EdgeOp op;
};

struct SoftmaxArgs {
  Csr csr;             // col unused
  const void* scores;  // [E, heads]; in the backward: the forward's result
  const void* grad;    // backward only
  void* out;
  int64_t heads;
  Dtype dtype;
};

enum class Score { gat, gatv2, dot };

// One struct for all passes of attention; each reads the part that its comments name. `accumulation
// type`: of the stored dtype. In a pass over sources csr.ptr and csr.col are those of the
// transpose, `pos` the CSR position of each of its edges, and csr.eid is still addressed by CSR
// position.
struct AttentionArgs {
  Csr csr;
  const void* pos;         // null in a pass over destinations
  const void* value;       // [num_src, heads, dim]; gatv2: also what the scores are of
  const void* query;       // dot: q, gatv2: x_dst; [num_dst, heads, dim]
  const void* key;         // dot: [num_src, heads, dim]
  const void* att;         // gatv2: [heads, dim], in the accumulation type, like all scores:
  const void* score_src;   // gat: null or [num_src, heads]
  const void* score_dst;   // gat: null or [num_dst, heads]
  const void* score_edge;  // gat, dot: null or [E, heads]
  void* out;               // [num_dst, heads, dim]; in a backward pass the forward's
  void* lse;               // [num_dst, heads], log Σ exp of the scores of a row
  const void* grad;        // backward: [num_dst, heads, dim]
  void* packed;            // gat backward: [num_dst, 3, heads]: score_dst, lse, Σ_d grad · out
  void* edges;             // gat backward: d(score) [E, heads], by edge id if score_edge is given,
                           // else by CSR position; others: d(score) and weight, [E, 2, heads]
  void* grad_query;        // dot, gatv2: like query
  void* grad_key;          // dot: like key
  void* grad_value;        // like value
  void* grad_att;          // gatv2: [heads, dim], the sum over the rows of the call
  void* grad_src;          // gat: like score_src, or null
  void* grad_edge;         // dot: like score_edge, or null
  double slope, scale;     // of the leaky ReLU; of the dot product
  uint64_t seed;
  const void* device_seed;  // on a GPU, where it lies there
  uint32_t threshold;       // of dropout: p · 2^24
  double keep_scale;        // 1 / (1 − p); 1 without dropout
  int64_t heads, dim;
  Dtype dtype;
  Score score;
};

struct RowsArgs {
  const void* from;
  void* to;
  const void* index;
  int64_t bytes;  // of one row
  bool wide;
};

struct ScatterAddArgs {
  const void* index;  // [num_edges]
  const void* x;      // [num_edges, dim]
  void* out;          // [num_rows, dim], in the accumulation type of x
  int64_t num_edges, dim;
  Dtype dtype;
  bool wide;
};

struct DropoutArgs {
  const void* x;    // [E, heads]
  const void* eid;  // null or [E]
  void* out;
  uint64_t seed;
  const void* device_seed;  // on a GPU, where it lies there
  uint32_t threshold;       // p · 2^24
  double scale;
  int64_t heads;
  Dtype dtype;
  bool wide;
};

}  // namespace gnnlib
