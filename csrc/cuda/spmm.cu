// The messages of spmm, weight · col_scale · x[j], and those of the gradient of its max and min.
#include "spmm.h"

#include "head_sums.h"
#include "reduce.h"

namespace gnnlib::cuda {
namespace {

// Multiplies by the weight of edge e at the features [at, at + N).
template <typename S, int N>
GNNLIB_DEVICE void weigh(const void* weights, Weights kind, int64_t e, int64_t heads, int64_t dim,
                         int64_t at, Values<S, N>& value) {
  using A = Accumulate<S>;
  const S* weight = static_cast<const S*>(weights);
  if (kind == Weights::edge) {
    const A w = static_cast<A>(weight[e]);
    for (int n = 0; n < N; ++n) value.value[n] *= w;
  } else if (kind == Weights::head) {
    for (int n = 0; n < N; ++n)
      value.value[n] *= static_cast<A>(weight[e * heads + (at + n) / dim]);
  } else if (kind == Weights::feature) {
    Values<S, N> own;
    own.load(weight + e * heads * dim + at);
    for (int n = 0; n < N; ++n) value.value[n] *= own.value[n];
  }
}

template <typename S, typename I, int N>
struct SourceMessage {
  SpmmArgs args;

  GNNLIB_DEVICE void operator()(int64_t, int64_t k, int64_t at, Values<S, N>& value) const {
    using A = Accumulate<S>;
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const int64_t j = col ? int64_t(col[k]) : k;
    value.load(static_cast<const S*>(args.x) + j * args.x_stride + at);
    if (args.weight) {
      const int64_t e = eid ? int64_t(eid[k]) : k;
      weigh(args.weight, args.weights, e, args.heads, args.dim, at, value);
    }
    if (!args.col_scale) return;
    const A scale = static_cast<const A*>(args.col_scale)[j];
    for (int n = 0; n < N; ++n) value.value[n] *= scale;
  }
};

// weight · grad[i] where the edge j → i has won, on the transpose.
template <typename S, typename I, int N>
struct WinnerMessage {
  ArgBackwardArgs args;

  GNNLIB_DEVICE void operator()(int64_t, int64_t k, int64_t at, Values<S, N>& value) const {
    const int64_t stride = args.heads * args.dim;
    const I* pos = static_cast<const I*>(args.csr.eid);
    const I* id = static_cast<const I*>(args.id);
    const int64_t from = int64_t(static_cast<const I*>(args.csr.col)[k]) * stride + at;
    const I p = pos ? pos[k] : I(k);
    value.load(static_cast<const S*>(args.grad) + from);
    if (args.weight) {
      const int64_t e = id ? int64_t(id[p]) : int64_t(p);
      weigh(args.weight, args.weights, e, args.heads, args.dim, at, value);
    }
    for (int n = 0; n < N; ++n) {
      if (static_cast<const I*>(args.arg)[from + n] != p) value.value[n] = 0;
    }
  }
};

template <typename I>
struct WinnerRows {
  const I* arg;
  I* row;
  int64_t num_rows, values;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n < num_rows * values && arg[n] >= 0) row[arg[n]] = I(n / values);  // each says the same
  }
};

// grad[i] · x[j] of the features where the edge has won.
template <typename S, typename I, int N>
struct WinnerProduct {
  using A = Accumulate<S>;
  const S* grad;
  const S* x;
  const I* arg;
  int64_t stride;

  GNNLIB_DEVICE A operator()(const Ends& ends, int64_t f) const {
    Values<S, N> g, v;
    g.load(grad + ends.i * stride + f);
    v.load(x + ends.j * stride + f);
    A sum = 0;
    for (int n = 0; n < N; ++n) {
      if (int64_t(arg[ends.i * stride + f + n]) == ends.k) sum += g.value[n] * v.value[n];
    }
    return sum;
  }
};

}  // namespace

void spmm(const SpmmArgs& args, int64_t num_rows, int64_t num_edges, const Partials& partials,
          const Where& where) {
  const Result result{
      args.out,        args.arg,         args.row_scale, args.term,        args.heads * args.dim,
      args.out_stride, args.term_stride, args.factor,    args.term_factor, args.reduce};
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("spmm", result, args.csr.ptr, num_rows, num_edges, partials, where,
                      [&]<int N>() { return SourceMessage<S, I, N>{args}; });
  });
}

void arg_backward(const ArgBackwardArgs& args, int64_t num_src, int64_t num_edges,
                  const Partials& partials, const Where& where) {
  const int64_t values = args.heads * args.dim;
  const Result result{args.out, nullptr, nullptr, nullptr, values, values, 0, 1, 0, Reduce::sum};
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("spmm_arg_backward", result, args.csr.ptr, num_src, num_edges, partials,
                      where, [&]<int N>() { return WinnerMessage<S, I, N>{args}; });
  });
}

void winner_rows(const ArgBackwardArgs& args, void* row, const Where& where) {
  auto run = [&]<typename I>() {
    const int64_t values = args.heads * args.dim;
    launch_threads<kReduceThreads>(where, "spmm_arg_backward", args.num_rows * values,
                                   WinnerRows<I>{static_cast<const I*>(args.arg),
                                                 static_cast<I*>(row), args.num_rows, values});
  };
  args.csr.wide ? run.template operator()<int64_t>() : run.template operator()<int32_t>();
}

void arg_weight(const ArgWeightArgs& args, int64_t num_rows, int64_t num_edges,
                const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    const PutHeads<S, I> put{static_cast<S*>(args.out), static_cast<const I*>(args.csr.eid),
                             args.heads};
    head_sums<S, I>("spmm_arg_weight", args.csr.ptr, args.csr.col, num_rows, num_edges, args.heads,
                    args.dim, where, put, [&]<int N>() {
                      return WinnerProduct<S, I, N>{
                          static_cast<const S*>(args.grad), static_cast<const S*>(args.x),
                          static_cast<const I*>(args.arg), args.heads * args.dim};
                    });
  });
}

}  // namespace gnnlib::cuda
