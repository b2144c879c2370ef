// Reduce act(x[j] + y[i] + α e) over the edges j → i of each destination row, and its gradients.
//
// The argument of act is computed again for each gradient: that costs the reads of the forward
// pass, where keeping it would cost an array of edges × features.
#pragma once

#include "select.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// Rows: edges have a row each. Else they have one number each, or nothing.
template <typename S, typename I, bool Rows>
struct SpmmAdd {
  using A = Accumulate<S>;

  const I* ptr;
  const I* col;
  const I* eid;
  const S* x;
  const S* y;
  const S* edge;
  const S* grad;
  S* out;
  I* arg;
  int64_t dim;
  A alpha;

  explicit SpmmAdd(const SpmmAddArgs& args)
      : ptr(static_cast<const I*>(args.csr.ptr)),
        col(static_cast<const I*>(args.csr.col)),
        eid(static_cast<const I*>(args.csr.eid)),
        x(static_cast<const S*>(args.x)),
        y(static_cast<const S*>(args.y)),
        edge(static_cast<const S*>(args.edge)),
        grad(static_cast<const S*>(args.grad)),
        out(static_cast<S*>(args.out)),
        arg(static_cast<I*>(args.arg)),
        dim(args.dim),
        alpha(A(args.alpha)) {}

  GNNLIB_INLINE int64_t id(int64_t k) const { return eid ? int64_t(eid[k]) : k; }

  template <int Bytes>
  GNNLIB_INLINE void prefetch_edge(int64_t k, int64_t start) const {
    if constexpr (Rows) prefetch<Bytes>(edge + id(k) * dim + start);
  }

  GNNLIB_INLINE A number(int64_t e) const {
    return !Rows && edge ? load_one(edge + e) * alpha : A(0);
  }

  // x[j] + y[i] + α e with `own` = y[i]. Every pass adds in this order, so that all agree on which
  // arguments are ≤ 0.
  template <int N>
  GNNLIB_INLINE Vec<A, N> argument(const S* row, Vec<A, N> own, int64_t e, int64_t at) const {
    Vec<A, N> value = own;
    if (row) value += load_vec<S, N>(row + at);
    if constexpr (Rows) return value + load_vec<S, N>(edge + e * dim + at) * alpha;
    return value + number(e);
  }

  template <int N, int V>
  GNNLIB_INLINE void load_own(Vec<A, N>* own, int64_t i, int64_t start, int64_t last) const {
    for (int v = 0; v < V; ++v) {
      own[v] = Vec<A, N>{};
      if (y) own[v] = load_vec<S, N>(y + i * dim + (v == V - 1 ? last : start + v * N));
    }
  }

  template <int N, int V>
  void reduce_rows(int64_t first, int64_t end, int64_t start, int64_t last, bool mean,
                   bool relu) const {
    using Vector = Vec<A, N>;
    using Mask = decltype(Vector{} == Vector{});
    const Mask cut = relu ? ~Mask{} : Mask{};
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector sum[V] = {}, own[V];
      load_own<N, V>(own, i, start, last);
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int64_t k = begin; k < stop; ++k) {
        const S* row = x + col[k] * dim;
        if (k + kAhead < limit) {
          prefetch<V * N* int(sizeof(S))>(x + col[k + kAhead] * dim + start);
          prefetch_edge<V * N* int(sizeof(S))>(k + kAhead, start);
        }
        const int64_t e = id(k);
        for (int v = 0; v < V; ++v) {
          Vector value = argument<N>(row, own[v], e, v == V - 1 ? last : start + v * N);
          sum[v] += (value <= A(0)) & cut ? Vector{} : value;  // a NaN stays
        }
      }
      const A scale = mean && stop > begin ? 1 / A(stop - begin) : A(1);
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + i * dim + (v == V - 1 ? last : start + v * N), sum[v] * scale);
      }
    }
  }

  // max and min of x[j] + α e.
  template <int N, int V>
  void select_rows(int64_t first, int64_t end, int64_t start, int64_t last, bool min) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector best[V];
      Vec<Place<A>, N> won[V];
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int v = 0; v < V; ++v) begin_best<N, A>(min, begin < stop, best[v], won[v]);
      for_runs(begin, stop, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        for (int64_t k = from; k < to; ++k) {
          const S* row = x + col[k] * dim;
          if (k + kAhead < limit) {
            prefetch<V * N* int(sizeof(S))>(x + col[k + kAhead] * dim + start);
            prefetch_edge<V * N* int(sizeof(S))>(k + kAhead, start);
          }
          const int64_t e = id(k);
          for (int v = 0; v < V; ++v) {
            Vector value = argument<N>(row, Vector{}, e, v == V - 1 ? last : start + v * N);
            if constexpr (!__is_same(S, A)) value = rounded<S, N>(value);
            take<true, N, A>(min, value, Place<A>(k - from), best[v], won[v]);
          }
        }
        for (int v = 0; v < V; ++v) {
          const int64_t at = i * dim + (v == V - 1 ? last : start + v * N);
          put_won<N, A, I>(arg + at, begin, from, won[v]);
        }
      });
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + i * dim + (v == V - 1 ? last : start + v * N), best[v]);
      }
    }
  }

  // Σ over the edges whose argument is not ≤ 0 of grad[j], or of grad[i] (`grad_is_own`).
  template <int N, int V>
  void gate_rows(int64_t first, int64_t end, int64_t start, int64_t last, bool grad_is_own) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector sum[V] = {}, own[V];
      load_own<N, V>(own, i, start, last);
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        if (k + kAhead < limit) {
          const int64_t next = col[k + kAhead] * dim + start;
          if (x) prefetch<V * N* int(sizeof(S))>(x + next);
          if (!grad_is_own) prefetch<V * N* int(sizeof(S))>(grad + next);
          prefetch_edge<V * N* int(sizeof(S))>(k + kAhead, start);
        }
        const int64_t e = id(k);
        const S* row = x ? x + col[k] * dim : nullptr;
        const S* from = grad + (grad_is_own ? i : int64_t(col[k])) * dim;
        for (int v = 0; v < V; ++v) {
          const int64_t at = v == V - 1 ? last : start + v * N;
          const Vector value = argument<N>(row, own[v], e, at);
          sum[v] += value <= A(0) ? Vector{} : load_vec<S, N>(from + at);
        }
      }
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + i * dim + (v == V - 1 ? last : start + v * N), sum[v]);
      }
    }
  }

  // α grad[i] for each edge and feature whose argument is not ≤ 0.
  template <int N, int V>
  void edge_rows(int64_t first, int64_t end, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector own[V], share[V];
      load_own<N, V>(own, i, start, last);
      for (int v = 0; v < V; ++v) {
        share[v] = load_vec<S, N>(grad + i * dim + (v == V - 1 ? last : start + v * N)) * alpha;
      }
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        if (k + kAhead < limit) {
          prefetch<V * N* int(sizeof(S))>(x + col[k + kAhead] * dim + start);
          prefetch_edge<V * N* int(sizeof(S))>(k + kAhead, start);
        }
        const int64_t e = id(k);
        for (int v = 0; v < V; ++v) {
          const int64_t at = v == V - 1 ? last : start + v * N;
          const Vector value = argument<N>(x + col[k] * dim, own[v], e, at);
          store_vec<S, N>(out + e * dim + at, value <= A(0) ? Vector{} : share[v]);
        }
      }
    }
  }

  // The same, summed over the features: for edges with one number.
  void edge_numbers(int64_t first, int64_t end) const {
    constexpr int L = kLanes<S>;
    const int64_t limit = ptr[end];
    auto part = [&]<int N>(int64_t i, int64_t j, int64_t e, int64_t at)
                    __attribute__((always_inline)) {
                      Vec<A, N> own = {};
                      if (y) own = load_vec<S, N>(y + i * dim + at);
                      const Vec<A, N> value = argument<N>(x + j * dim, own, e, at);
                      return value <= A(0) ? Vec<A, N>{} : load_vec<S, N>(grad + i * dim + at);
                    };
    for (int64_t i = first; i < end; ++i) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        if (k + kAhead < limit) {
          const char* next = reinterpret_cast<const char*>(x + col[k + kAhead] * dim);
          for (int64_t byte = 0; byte < dim * int64_t(sizeof(S)); byte += 64) {
            __builtin_prefetch(next + byte);
          }
        }
        const int64_t j = col[k], e = id(k);
        Vec<A, L> sum = {};
        int64_t at = 0;
        for (; at + L <= dim; at += L) sum += part.template operator()<L>(i, j, e, at);
        A total = lane_sum<A, L>(sum);
        for (; at < dim; ++at) total += part.template operator()<1>(i, j, e, at)[0];
        store_one(out + e, total * alpha);
      }
    }
  }
};

template <typename F>
GNNLIB_INLINE void dispatch_add(const SpmmAddArgs& args, F&& f) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    args.edge && !args.edge_is_number ? f.template operator()<S, I>(SpmmAdd<S, I, true>(args))
                                      : f.template operator()<S, I>(SpmmAdd<S, I, false>(args));
  });
}

void spmm_add(const SpmmAddArgs& args, int64_t first, int64_t end) {
  dispatch_add(args, [&]<typename S, typename I>(const auto& op) {
    for_tiles<S, kTile<S, I>>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
      const Reduce reduce = args.reduce;
      if (reduce == Reduce::max || reduce == Reduce::min) {
        op.template select_rows<N, V>(first, end, start, last, reduce == Reduce::min);
      } else {
        op.template reduce_rows<N, V>(first, end, start, last, reduce == Reduce::mean, args.relu);
      }
    });
  });
}

void spmm_add_gate(const SpmmAddArgs& args, int64_t first, int64_t end) {
  dispatch_add(args, [&]<typename S, typename I>(const auto& op) {
    for_tiles<S, kTile<S, I>>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
      op.template gate_rows<N, V>(first, end, start, last, args.grad_is_own);
    });
  });
}

void spmm_add_edge(const SpmmAddArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    if (args.edge_is_number) return SpmmAdd<S, I, false>(args).edge_numbers(first, end);
    for_tiles<S, kTile<S, I>>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
      SpmmAdd<S, I, true>(args).template edge_rows<N, V>(first, end, start, last);
    });
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
