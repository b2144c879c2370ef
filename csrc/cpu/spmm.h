// Reduce the weighted source rows of each destination row.
//
// A tile of the features stays in registers while the edges of a row stream by: the indices are
// read once a tile, each source row once, the result is written once. The row that will be needed
// eight edges later is prefetched, because the source rows are in no order the hardware can guess.
#pragma once

#include <type_traits>

#include "heads.h"
#include "scratch.h"
#include "select.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// What a source row is multiplied by: nothing, one number, one a head; `any` asks the arguments,
// edge by edge.
enum class Factor { none, one, head, any };

// A factor for each position of a chunk, gathered in one tight loop before the rows that use them:
// the processor has many of its misses in flight, where the loop over the edges would wait for
// each.
template <typename S, typename I>
struct Factors {
  using A = Accumulate<S>;
  static constexpr int64_t kValues = 2048;  // in the first-level cache

  const SpmmArgs& args;
  const int64_t heads, chunk;
  Scratch<A> values;
  int64_t from = 0, end = 0;  // the positions held

  Factors(const SpmmArgs& args_, int64_t first)
      : args(args_),
        heads(args.weights == Weights::head ? args.heads : 1),
        chunk(heads < kValues ? kValues / heads : 1),
        from(first),
        end(first) {}

  GNNLIB_INLINE const A* at(int64_t k) const { return values.data + (k - from) * heads; }

  void fill(int64_t first, int64_t limit) {
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const A* col_scale = static_cast<const A*>(args.col_scale);
    from = first;
    end = first + chunk < limit ? first + chunk : limit;
    const int64_t n = end - from;
    values.reserve(chunk * heads + kLanes<S>);  // lanes are loaded whole
    A* to = values.data;
    if (args.weights == Weights::edge || args.weights == Weights::head) {
      const S* weight = static_cast<const S*>(args.weight);
      if (eid && heads == 1) {
        for (int64_t k = 0; k < n; ++k) to[k] = load_one(weight + eid[from + k]);
      } else if (eid) {
        for (int64_t k = 0; k < n; ++k) {
          const S* row = weight + eid[from + k] * heads;
          for (int64_t h = 0; h < heads; ++h) to[k * heads + h] = load_one(row + h);
        }
      } else {
        for (int64_t k = 0; k < n * heads; ++k) to[k] = load_one(weight + from * heads + k);
      }
    } else {
      for (int64_t k = 0; k < n; ++k) to[k] = 1;
    }
    if (!col_scale) return;
    for (int64_t k = 0; k < n; ++k) {
      const A scale = col_scale[col ? int64_t(col[from + k]) : from + k];
      for (int64_t h = 0; h < heads; ++h) to[k * heads + h] *= scale;
    }
  }
};

template <typename S, typename I>
struct Spmm {
  using A = Accumulate<S>;

  const SpmmArgs& args;
  const I* ptr;
  const I* col;
  const I* eid;
  const S* weight;
  const S* x;
  S* out;
  I* arg;
  const A* row_scale;
  int64_t stride;  // values in a row of a weight per feature, and of arg
  bool special;
  HeadTable<A> table;

  template <Factor F, int N, int V>
  using Lanes = std::conditional_t<F == Factor::none || F == Factor::one, NoLanes<A, N>,
                                   HeadLanes<A, N, V, false>>;

  explicit Spmm(const SpmmArgs& args_)
      : args(args_),
        ptr(static_cast<const I*>(args.csr.ptr)),
        col(static_cast<const I*>(args.csr.col)),
        eid(static_cast<const I*>(args.csr.eid)),
        weight(static_cast<const S*>(args.weight)),
        x(static_cast<const S*>(args.x)),
        out(static_cast<S*>(args.out)),
        arg(static_cast<I*>(args.arg)),
        row_scale(static_cast<const A*>(args.row_scale)),
        stride(args.heads * args.dim),
        special(is_special()),
        table(special && args.weights != Weights::head ? 0 : args.heads, args.dim) {}

  GNNLIB_INLINE int64_t source(int64_t k) const { return col ? int64_t(col[k]) : k; }

  // Calls edge(k, j, factors of k) for the positions of a row.
  template <Factor F, typename Edge>
  GNNLIB_INLINE void for_edges(Factors<S, I>& factors, int64_t k, int64_t stop, int64_t limit,
                               Edge&& edge) const {
    if constexpr (F == Factor::none) {
      for (; k < stop; ++k) edge(k, source(k), nullptr);
    } else {
      while (k < stop) {
        if (k == factors.end) factors.fill(k, limit);
        const int64_t held = stop < factors.end ? stop : factors.end;
        for (; k < held; ++k) edge(k, source(k), factors.at(k));
      }
    }
  }

  template <int N, int V>
  GNNLIB_INLINE void prefetch_ahead(int64_t k, int64_t limit, int64_t start) const {
    if (k + kAhead < limit) {
      prefetch<V * N* int(sizeof(S))>(x + source(k + kAhead) * args.x_stride + start);
    }
  }

  // The message's values of vector v: weight · x[j].
  template <Factor F, int N>
  GNNLIB_INLINE Vec<A, N> message(int64_t k, int64_t j, const A* factor, const auto& lanes, int v,
                                  int64_t at) const {
    Vec<A, N> value = load_vec<S, N>(x + j * args.x_stride + at);
    if constexpr (F != Factor::none) value *= lanes.spread(v, factor);
    if (F == Factor::any && args.weights == Weights::feature) {
      value *= load_vec<S, N>(weight + (eid ? int64_t(eid[k]) : k) * stride + at);
    }
    return value;
  }

  template <Factor F, bool Mul, int N, int V>
  void reduce_rows(int64_t first, int64_t end, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end], ahead = args.cached ? 0 : limit;
    const S* term = static_cast<const S*>(args.term);
    const A share = A(args.term_factor);
    Factors<S, I> factors(args, ptr[first]);
    const Lanes<F, N, V> lanes(table, start, last);
    for (int64_t i = first; i < end; ++i) {
      Vector sum[V];
      for (int v = 0; v < V; ++v) sum[v] = Vector{} + (Mul ? A(1) : A(0));
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for_edges<F>(factors, begin, stop, limit,
                   [&](int64_t k, int64_t j, const A* factor) __attribute__((always_inline)) {
                     prefetch_ahead<N, V>(k, ahead, start);
                     for (int v = 0; v < V; ++v) {
                       const int64_t at = v == V - 1 ? last : start + v * N;
                       const Vector value = message<F, N>(k, j, factor, lanes, v, at);
                       if constexpr (Mul) {
                         sum[v] *= value;
                       } else {
                         sum[v] += value;
                       }
                     }
                   });
      A scale = (row_scale ? row_scale[i] : A(1)) * A(args.factor);
      if (args.reduce == Reduce::mean && stop > begin) scale /= A(stop - begin);
      for (int v = 0; v < V; ++v) {
        const int64_t at = v == V - 1 ? last : start + v * N;
        Vector result = sum[v] * scale;
        if (term) result += load_vec<S, N>(term + i * args.term_stride + at) * share;
        store_vec<S, N>(out + i * args.out_stride + at, result);
      }
    }
  }

  // False if a value may have been a NaN, of which only Exact takes care.
  template <Factor F, bool Min, bool Exact, int N, int V>
  bool select_rows(int64_t first, int64_t end, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end], ahead = args.cached ? 0 : limit;
    Factors<S, I> factors(args, ptr[first]);
    const Lanes<F, N, V> lanes(table, start, last);
    Vector seen[V] = {};
    for (int64_t i = first; i < end; ++i) {
      Vector best[V];
      Vec<Place<A>, N> won[V];
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int v = 0; v < V; ++v) begin_best<N, A>(Min, begin < stop, best[v], won[v]);
      for_runs(begin, stop, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        for_edges<F>(factors, from, to, limit,
                     [&](int64_t k, int64_t j, const A* factor) __attribute__((always_inline)) {
                       prefetch_ahead<N, V>(k, ahead, start);
                       for (int v = 0; v < V; ++v) {
                         const int64_t at = v == V - 1 ? last : start + v * N;
                         Vector value = message<F, N>(k, j, factor, lanes, v, at);
                         if constexpr (!__is_same(S, A) && F != Factor::none)
                           value = rounded<S, N>(value);
                         take<Exact, N, A>(Min, value, Place<A>(k - from), best[v], won[v]);
                         if constexpr (!Exact) seen[v] += value;
                       }
                     });
        for (int v = 0; arg && v < V; ++v) {
          const int64_t at = v == V - 1 ? last : start + v * N;
          put_won<N, A, I>(arg + i * stride + at, begin, from, won[v]);
        }
      });
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + i * args.out_stride + (v == V - 1 ? last : start + v * N), best[v]);
      }
    }
    for (int v = 1; v < V; ++v) seen[0] += seen[v];
    return !has_nan<N, A>(seen[0]);
  }

  template <Factor F, bool Min, int N, int V>
  void select(int64_t first, int64_t end, int64_t start, int64_t last) const {
    if (!select_rows<F, Min, false, N, V>(first, end, start, last))
      select_rows<F, Min, true, N, V>(first, end, start, last);
  }

  // Code of its own where speed is asked for; elsewhere one code that asks.
  static constexpr bool kSpecial = kTile<S, I> > 2;

  bool plain() const { return args.weights == Weights::none && !args.col_scale; }
  bool is_special() const {
    const bool linear = args.reduce == Reduce::sum || args.reduce == Reduce::mean;
    return kSpecial && args.reduce != Reduce::mul && args.weights != Weights::feature &&
           (linear || plain());
  }

  void run_special(int64_t first, int64_t end) const {
    for_tiles<S>(stride, [&]<int N, int V>(int64_t start, int64_t last) {
      if (args.reduce == Reduce::max) {
        select<Factor::none, false, N, V>(first, end, start, last);
      } else if (args.reduce == Reduce::min) {
        select<Factor::none, true, N, V>(first, end, start, last);
      } else if (plain()) {
        reduce_rows<Factor::none, false, N, V>(first, end, start, last);
      } else if (args.weights == Weights::head) {
        reduce_rows<Factor::head, false, N, V>(first, end, start, last);
      } else {
        reduce_rows<Factor::one, false, N, V>(first, end, start, last);
      }
    });
  }

  void run(int64_t first, int64_t end) const {
    if constexpr (kSpecial) {
      if (special) return run_special(first, end);
    }
    for_tiles<S, 2>(stride, [&]<int N, int V>(int64_t start, int64_t last) {
      switch (args.reduce) {
        case Reduce::sum:
        case Reduce::mean:
          return reduce_rows<Factor::any, false, N, V>(first, end, start, last);
        case Reduce::mul:
          return reduce_rows<Factor::any, true, N, V>(first, end, start, last);
        case Reduce::max:
          return select<Factor::any, false, N, V>(first, end, start, last);
        case Reduce::min:
          return select<Factor::any, true, N, V>(first, end, start, last);
      }
    });
  }
};

void spmm(const SpmmArgs& args, int64_t first, int64_t last) {
  dispatch(args.dtype, args.csr.wide,
           [&]<typename S, typename I>() { Spmm<S, I>(args).run(first, last); });
}

constexpr int64_t kAheadRows = 2;     // rows between a prefetch and its use
constexpr int64_t kNear = 256 << 10;  // bytes that need no prefetch

// dx[col[p]] += w · grad[i] where p = arg[i], entry by entry: only the winners are looked at. The
// caller owns the sources [first, end) of the features [start, stop), and reads every row of them.
// The sums stand close together in `room`, where they share cache lines with nothing else.
void arg_backward(const ArgBackwardArgs& args, int64_t first, int64_t end, int64_t start,
                  int64_t stop, void* room) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* weight = static_cast<const S*>(args.weight);
    const S* grad = static_cast<const S*>(args.grad);
    const I* arg = static_cast<const I*>(args.arg);
    S* out = static_cast<S*>(args.out);
    A* sum = static_cast<A*>(room);
    const int64_t stride = args.heads * args.dim, width = stop - start;
    const int64_t per_edge = args.weights == Weights::head      ? args.heads
                             : args.weights == Weights::feature ? stride
                                                                : 1;
    const int64_t share = stride / (per_edge ? per_edge : 1);  // features with a weight in common
    const bool far = (end - first) * width * int64_t(sizeof(A)) > kNear;
    for (int64_t n = 0; n < (end - first) * width; ++n) sum[n] = 0;
    auto source = [&](I p) { return (col ? int64_t(col[p]) : int64_t(p)) - first; };
    for (int64_t i = 0; i < args.num_rows; ++i) {
      if (far && i + kAheadRows < args.num_rows) {
        const I* next = arg + (i + kAheadRows) * stride + start;
        for (int64_t f = 0; f < width; ++f) {
          if (next[f] >= 0) __builtin_prefetch(sum + source(next[f]) * width + f, 1);
        }
      }
      for (int64_t f = 0; f < width; ++f) {
        const int64_t at = i * stride + start + f;
        const I p = arg[at];
        if (p < 0) continue;
        const int64_t j = source(p);
        if (j < 0 || j >= end - first) continue;
        A value = load_one(grad + at);
        if (weight) value *= load_one(weight + (eid ? eid[p] : p) * per_edge + (start + f) / share);
        sum[j * width + f] += value;
      }
    }
    for (int64_t j = first; j < end; ++j) {
      for (int64_t f = 0; f < width; ++f) {
        store_one(out + j * stride + start + f, sum[(j - first) * width + f]);
      }
    }
  });
}

// The same on the transpose: every row of dx has one owner, who looks at all of its edges j → i and
// takes grad[i] where they have won. For weights of edges, or none.
void arg_backward_rows(const ArgBackwardArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* row = static_cast<const I*>(args.csr.col);
    const I* pos = static_cast<const I*>(args.csr.eid);
    const I* id = static_cast<const I*>(args.id);
    const S* weight = static_cast<const S*>(args.weight);
    const S* grad = static_cast<const S*>(args.grad);
    const I* arg = static_cast<const I*>(args.arg);
    S* out = static_cast<S*>(args.out);
    const int64_t stride = args.heads * args.dim, limit = ptr[end];
    for_tiles<S, kTile<S, I>>(stride, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int64_t j = first; j < end; ++j) {
        Vec<A, N> sum[V] = {};
        for (int64_t k = ptr[j]; k < ptr[j + 1]; ++k) {
          if (k + kAhead < limit) {
            const int64_t next = row[k + kAhead] * stride + start;
            prefetch<V * N* int(sizeof(I))>(arg + next);
            prefetch<V * N* int(sizeof(S))>(grad + next);
          }
          const I p = pos ? pos[k] : I(k);
          const A factor = weight ? load_one(weight + (id ? id[p] : p)) : A(1);
          for (int v = 0; v < V; ++v) {
            const int64_t at = row[k] * stride + (v == V - 1 ? last : start + v * N);
            Vec<I, N> winner;
            __builtin_memcpy(&winner, arg + at, sizeof(winner));
            const auto won = __builtin_convertvector(winner == p, Vec<LaneId<A>, N>);
            sum[v] += won ? load_vec<S, N>(grad + at) * factor : Vec<A, N>{};
          }
        }
        for (int v = 0; v < V; ++v) {
          store_vec<S, N>(out + j * stride + (v == V - 1 ? last : start + v * N), sum[v]);
        }
      }
    });
  });
}

// dw[e, h] = Σ_d grad[i, h, d] · x[j, h, d] over the entries that edge e has won.
void arg_weight(const ArgWeightArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* grad = static_cast<const S*>(args.grad);
    const S* x = static_cast<const S*>(args.x);
    const I* arg = static_cast<const I*>(args.arg);
    S* out = static_cast<S*>(args.out);
    for (int64_t i = first; i < end; ++i) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        const int64_t j = col ? int64_t(col[k]) : k;
        for (int64_t h = 0; h < args.heads; ++h) {
          const int64_t here = (i * args.heads + h) * args.dim;
          const int64_t there = (j * args.heads + h) * args.dim;
          A sum = 0;
          for (int64_t d = 0; d < args.dim; ++d) {
            if (arg[here + d] == k) sum += load_one(grad + here + d) * load_one(x + there + d);
          }
          store_one(out + (eid ? int64_t(eid[k]) : k) * args.heads + h, sum);
        }
      }
    }
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
