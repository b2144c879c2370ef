// The messages act(x[j] + y[i] + α e), their gates, and the gradient of the edges.
#include "spmm_add.h"

#include "reduce.h"

namespace gnnlib::cuda {
namespace {

// x[j] + y[i] + α e of edge position k. Every pass adds in this order, so that all agree on which
// arguments are ≤ 0.
template <typename S, typename I, int N>
GNNLIB_DEVICE void argument(const SpmmAddArgs& args, int64_t i, int64_t k, int64_t at,
                            Values<S, N>& value) {
  using A = Accumulate<S>;
  value.fill(0);
  Values<S, N> part;
  if (args.y) value.load(static_cast<const S*>(args.y) + i * args.dim + at);
  if (args.x) {
    part.load(static_cast<const S*>(args.x) +
              int64_t(static_cast<const I*>(args.csr.col)[k]) * args.dim + at);
    for (int n = 0; n < N; ++n) value.value[n] += part.value[n];
  }
  if (!args.edge) return;
  const I* eid = static_cast<const I*>(args.csr.eid);
  const int64_t e = eid ? int64_t(eid[k]) : k;
  if (args.edge_is_number) {
    part.fill(static_cast<A>(static_cast<const S*>(args.edge)[e]));
  } else {
    part.load(static_cast<const S*>(args.edge) + e * args.dim + at);
  }
  for (int n = 0; n < N; ++n) value.value[n] += part.value[n] * A(args.alpha);
}

template <typename S, typename I, int N>
struct AddMessage {
  SpmmAddArgs args;

  GNNLIB_DEVICE void operator()(int64_t i, int64_t k, int64_t at, Values<S, N>& value) const {
    argument<S, I, N>(args, i, k, at, value);
    if (!args.relu) return;
    for (int n = 0; n < N; ++n)
      if (value.value[n] <= 0) value.value[n] = 0;  // a NaN stays
  }
};

// grad[j], or grad[i], where the argument is not ≤ 0.
template <typename S, typename I, int N>
struct GateMessage {
  SpmmAddArgs args;

  GNNLIB_DEVICE void operator()(int64_t i, int64_t k, int64_t at, Values<S, N>& value) const {
    Values<S, N> gate;
    argument<S, I, N>(args, i, k, at, gate);
    const int64_t from = args.grad_is_own ? i : int64_t(static_cast<const I*>(args.csr.col)[k]);
    value.load(static_cast<const S*>(args.grad) + from * args.dim + at);
    for (int n = 0; n < N; ++n)
      if (gate.value[n] <= 0) value.value[n] = 0;
  }
};

// α grad[i] where the argument is not ≤ 0, for each edge: row by row, or summed over the features.
template <typename S, typename I, int N>
struct EdgeGradient {
  using A = Accumulate<S>;

  SpmmAddArgs args;
  Groups groups;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = groups.index();
    const bool there = k < num_edges;  // all lanes take part in the sums
    const I* eid = static_cast<const I*>(args.csr.eid);
    const int64_t i = there ? row_of(static_cast<const I*>(args.csr.ptr), num_rows, k) : 0;
    const int64_t e = there && eid ? int64_t(eid[k]) : k;
    A sum = 0;
    for (int64_t at = groups.lane() * N; there && at < args.dim; at += groups.lanes() * N) {
      Values<S, N> gate, value;
      argument<S, I, N>(args, i, k, at, gate);
      value.load(static_cast<const S*>(args.grad) + i * args.dim + at);
      for (int n = 0; n < N; ++n) {
        value.value[n] = gate.value[n] <= 0 ? A(0) : value.value[n] * A(args.alpha);
        sum += value.value[n];
      }
      if (!args.edge_is_number) value.store(static_cast<S*>(args.out) + e * args.dim + at);
    }
    if (!args.edge_is_number) return;
    sum = groups.sum(sum);
    if (there && groups.lane() == 0) static_cast<S*>(args.out)[e] = static_cast<S>(sum);
  }
};

Result result_of(const SpmmAddArgs& args, Reduce reduce) {
  return {args.out, args.arg, nullptr, nullptr, args.dim, args.dim, 0, 1, 0, reduce};
}

}  // namespace

void spmm_add(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
              const Partials& partials, const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("spmm_add", result_of(args, args.reduce), args.csr.ptr, num_rows, num_edges,
                      partials, where, [&]<int N>() { return AddMessage<S, I, N>{args}; });
  });
}

void spmm_add_gate(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
                   const Partials& partials, const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("spmm_add_gate", result_of(args, Reduce::sum), args.csr.ptr, num_rows,
                      num_edges, partials, where,
                      [&]<int N>() { return GateMessage<S, I, N>{args}; });
  });
}

void spmm_add_edge(const SpmmAddArgs& args, int64_t num_rows, int64_t num_edges,
                   const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    const Shape shape = shape_of(pack_of(args.dim, sizeof(S)), args.dim);
    with_pack<S>(shape.pack, [&]<int N>() {
      launch_groups<kReduceThreads>(where, "spmm_add_edge", num_edges, shape.groups,
                                    EdgeGradient<S, I, N>{args, shape.groups, num_rows, num_edges});
    });
  });
}

}  // namespace gnnlib::cuda
