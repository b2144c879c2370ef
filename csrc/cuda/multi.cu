// Several reductions of the same source rows, in one pass over the edges.
//
// The standard deviation takes a second look, from the cache: the mean must be known first, for the
// difference of two large sums would lose what is asked for.
#include "multi.h"

#include "reduce.h"

namespace gnnlib::cuda {
namespace {

enum class Phase { pieces, rows, square_pieces, squares };

template <typename S, typename I, int N>
struct MultiRows {
  using A = Accumulate<S>;

  MultiArgs args;
  Groups groups;
  int64_t num_rows, num_edges;
  A *sum, *top, *bottom;  // the slots
  I *top_at, *bottom_at;
  Phase phase;

  struct Extreme {
    Values<S, N> best;
    I at[N];

    GNNLIB_DEVICE void begin() {
      best.fill(0);
      for (int n = 0; n < N; ++n) at[n] = I(-1);
    }
    GNNLIB_DEVICE void take(bool min, int n, A x, I k) {
      if (at[n] >= 0 && !is_better(min, x, best.value[n])) return;
      best.value[n] = x;
      at[n] = k;
    }
  };

  GNNLIB_DEVICE void load(int64_t k, int64_t at, Values<S, N>& value) const {
    const I* col = static_cast<const I*>(args.csr.col);
    value.load(static_cast<const S*>(args.x) + (col ? int64_t(col[k]) : k) * args.dim + at);
  }

  GNNLIB_DEVICE void put(int64_t slot, int64_t i, int64_t at, const Values<S, N>& value) const {
    if (slot >= 0) value.store(static_cast<S*>(args.out) + (i * args.slots + slot) * args.dim + at);
  }
  GNNLIB_DEVICE void put_at(void* to, int64_t first, const Extreme& extreme) const {
    if (!to) return;
    for (int n = 0; n < N; ++n) static_cast<I*>(to)[first + n] = extreme.at[n];
  }

  // Calls take(k, value) for the edges of a piece; four values are on their way at once.
  template <typename Take>
  GNNLIB_DEVICE void for_values(const Piece& piece, int64_t at, const Take& take) const {
    int64_t k = piece.begin;
    for (; k + kUnroll <= piece.end; k += kUnroll) {
      Values<S, N> value[kUnroll];
      for (int u = 0; u < kUnroll; ++u) load(k + u, at, value[u]);
      for (int u = 0; u < kUnroll; ++u) take(k + u, value[u]);
    }
    for (; k < piece.end; ++k) {
      Values<S, N> value;
      load(k, at, value);
      take(k, value);
    }
  }

  // Sums and extremes of the edges of a piece, or of what its slots hold.
  GNNLIB_DEVICE void look(const Piece& piece, bool in_slots, int64_t at, Values<S, N>& total,
                          Extreme& high, Extreme& low) const {
    if (in_slots) {
      for_slots(static_cast<const I*>(args.csr.ptr), piece.row, [&](int64_t slot) {
        for (int n = 0; n < N; ++n) {
          const int64_t from = slot * args.dim + at + n;
          total.value[n] += sum[from];
          high.take(false, n, top[from], top_at[from]);
          low.take(true, n, bottom[from], bottom_at[from]);
        }
      });
      return;
    }
    for_values(piece, at, [&](int64_t k, const Values<S, N>& value) {
      for (int n = 0; n < N; ++n) {
        total.value[n] += value.value[n];
        if (args.max_slot >= 0) high.take(false, n, value.value[n], I(k));
        if (args.min_slot >= 0) low.take(true, n, value.value[n], I(k));
      }
    });
  }

  GNNLIB_DEVICE void square(const Piece& piece, bool in_slots, int64_t at, const Values<S, N>& mean,
                            Values<S, N>& total) const {
    if (in_slots) {
      for_slots(static_cast<const I*>(args.csr.ptr), piece.row, [&](int64_t slot) {
        for (int n = 0; n < N; ++n) total.value[n] += sum[slot * args.dim + at + n];
      });
      return;
    }
    for_values(piece, at, [&](int64_t, const Values<S, N>& value) {
      for (int n = 0; n < N; ++n) {
        const A apart = value.value[n] - mean.value[n];
        total.value[n] += apart * apart;
      }
    });
  }

  GNNLIB_DEVICE void deviation(const Piece& row, bool in_slots, int64_t at,
                               const Values<S, N>& mean) const {
    Values<S, N> total;
    total.fill(0);
    square(row, in_slots, at, mean, total);
    const A edges = row.begin < row.end ? A(row.end - row.begin) : A(1);
    for (int n = 0; n < N; ++n) total.value[n] = sqrt_of(total.value[n] / edges);
    put(args.std_slot, row.row, at, total);
  }

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const int64_t group = groups.index();
    const bool pieces = phase == Phase::pieces || phase == Phase::square_pieces;
    Piece piece;
    if (!find_piece(ptr, num_rows, num_edges, pieces, group, piece)) return;
    const bool in_slots = !pieces && sum && piece.end - piece.begin > kLong;
    if (phase == Phase::squares && !in_slots) return;  // done with its sums
    for (int64_t at = groups.lane() * N; at < args.dim; at += groups.lanes() * N) {
      A* means = static_cast<A*>(args.mean) + piece.row * args.dim + at;
      Values<S, N> total, mean;
      if (phase == Phase::square_pieces || phase == Phase::squares) {
        for (int n = 0; n < N; ++n) mean.value[n] = means[n];
        if (phase == Phase::squares) {
          deviation(piece, true, at, mean);
          continue;
        }
        total.fill(0);
        square(piece, false, at, mean, total);
        for (int n = 0; n < N; ++n) sum[group * args.dim + at + n] = total.value[n];
        continue;
      }
      Extreme high, low;
      total.fill(0);
      high.begin();
      low.begin();
      look(piece, in_slots, at, total, high, low);
      if (phase == Phase::pieces) {
        for (int n = 0; n < N; ++n) {
          const int64_t to = group * args.dim + at + n;
          sum[to] = total.value[n];
          top[to] = high.best.value[n];
          bottom[to] = low.best.value[n];
          top_at[to] = high.at[n];
          bottom_at[to] = low.at[n];
        }
        continue;
      }
      const A edges = piece.begin < piece.end ? A(piece.end - piece.begin) : A(1);
      for (int n = 0; n < N; ++n) mean.value[n] = total.value[n] / edges;
      put(args.sum_slot, piece.row, at, total);
      put(args.mean_slot, piece.row, at, mean);
      put(args.max_slot, piece.row, at, high.best);
      put(args.min_slot, piece.row, at, low.best);
      put_at(args.arg_max, piece.row * args.dim + at, high);
      put_at(args.arg_min, piece.row * args.dim + at, low);
      if (args.std_slot < 0) continue;
      for (int n = 0; n < N; ++n) means[n] = mean.value[n];
      if (!in_slots) deviation(piece, false, at, mean);
    }
  }
};

// even[i] + spread[i] · (x[j] − mean[i]) of the edges of j, on the transpose.
template <typename S, typename I, int N>
struct MultiGradient {
  MultiArgs args;

  GNNLIB_DEVICE void operator()(int64_t j, int64_t k, int64_t at, Values<S, N>& value) const {
    using A = Accumulate<S>;
    const int64_t from = int64_t(static_cast<const I*>(args.csr.col)[k]) * args.dim + at;
    value.load(static_cast<const S*>(args.x) + j * args.dim + at);
    for (int n = 0; n < N; ++n) {
      const A apart = value.value[n] - static_cast<const A*>(args.mean)[from + n];
      value.value[n] = static_cast<const A*>(args.even)[from + n] +
                       static_cast<const A*>(args.spread)[from + n] * apart;
    }
  }
};

}  // namespace

void multi(const MultiArgs& args, int64_t num_rows, int64_t num_edges,
           const MultiPartials& partials, const Where& where) {
  if (args.dim == 0) return;
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const Shape shape = shape_of(pack_of(args.dim, sizeof(S)), args.dim);
    with_pack<S>(shape.pack, [&]<int N>() {
      MultiRows<S, I, N> kernel{args,
                                shape.groups,
                                num_rows,
                                num_edges,
                                static_cast<A*>(partials.sum),
                                static_cast<A*>(partials.top),
                                static_cast<A*>(partials.bottom),
                                static_cast<I*>(partials.top_at),
                                static_cast<I*>(partials.bottom_at),
                                Phase::pieces};
      auto run = [&](Phase phase, int64_t groups) {
        kernel.phase = phase;
        launch_groups<kReduceThreads>(where, "spmm_multi", groups, shape.groups, kernel);
      };
      const int64_t slots = partials.sum ? 2 * num_chunks(num_edges) : 0;
      run(Phase::pieces, slots);
      run(Phase::rows, num_rows);
      if (args.std_slot < 0 || slots == 0) return;
      run(Phase::square_pieces, slots);
      run(Phase::squares, num_rows);
    });
  });
}

void multi_backward(const MultiArgs& args, int64_t num_src, int64_t num_edges,
                    const Partials& partials, const Where& where) {
  const Result result{args.out, nullptr, nullptr, nullptr, args.dim,
                      args.dim, 0,       1,       0,       Reduce::sum};
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("spmm_multi_backward", result, args.csr.ptr, num_src, num_edges, partials,
                      where, [&]<int N>() { return MultiGradient<S, I, N>{args}; });
  });
}

}  // namespace gnnlib::cuda
