// Reduce the messages of the edges of each row, whatever a message is: spmm, its gradients and
// spmm_add are this with another message.
//
// A group of lanes has a row, each lane one pack of neighbouring features in registers (several,
// one after the other, where the row is wider than a warp). The edges of a row go by in fours, so
// that four messages are on their way at once; they are added in order, whatever the groups are.
#pragma once

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

namespace gnnlib::cuda {

constexpr int kReduceThreads = 256, kUnroll = 4;

// Where the results of a reduction go, and what is done to them on the way.
struct Result {
  void* out;
  void* arg;              // null, or the position of the winner of each value (max and min)
  const void* row_scale;  // of sums and means: null or one factor a row, in the accumulation type
  const void* term;       // likewise: null or rows that are added, term_factor times
  int64_t values, out_stride, term_stride;
  double factor, term_factor;
  Reduce reduce;
};

// The first of equals wins; a NaN is better than all but a NaN.
template <typename A>
GNNLIB_DEVICE bool is_better(bool min, A x, A best) {
  return best == best && !(min ? x >= best : x <= best);
}

// Message: `operator()(i, k, at, value)` gives the message of edge position k of row i, at the
// features [at, at + N).
template <typename S, typename I, int N, typename Message>
struct ReduceRows {
  using A = Accumulate<S>;

  Message message;
  Result result;
  const I* ptr;
  Groups groups;
  int64_t num_rows, num_edges;
  A* partial;
  I* partial_arg;
  int phase;  // 0: the pieces of long rows; 1: all rows

  GNNLIB_DEVICE bool selects() const {
    return result.reduce == Reduce::max || result.reduce == Reduce::min;
  }

  GNNLIB_DEVICE void take(Values<S, N>& total, I (&won)[N], const Values<S, N>& value, I k) const {
    for (int n = 0; n < N; ++n) {
      const A x = value.value[n];
      if (result.reduce == Reduce::mul) {
        total.value[n] *= x;
      } else if (selects()) {
        const A stored = static_cast<A>(static_cast<S>(x));  // ties are those of what is stored
        if (won[n] < 0 || is_better(result.reduce == Reduce::min, stored, total.value[n])) {
          total.value[n] = stored;
          won[n] = k;
        }
      } else {
        total.value[n] += x;
      }
    }
  }

  GNNLIB_DEVICE void add_edges(Values<S, N>& total, I (&won)[N], const Piece& piece,
                               int64_t at) const {
    int64_t k = piece.begin;
    for (; k + kUnroll <= piece.end; k += kUnroll) {
      Values<S, N> value[kUnroll];
      for (int u = 0; u < kUnroll; ++u) message(piece.row, k + u, at, value[u]);
      for (int u = 0; u < kUnroll; ++u) take(total, won, value[u], I(k + u));
    }
    for (; k < piece.end; ++k) {
      Values<S, N> value;
      message(piece.row, k, at, value);
      take(total, won, value, I(k));
    }
  }

  GNNLIB_DEVICE void add_slots(Values<S, N>& total, I (&won)[N], int64_t row, int64_t at) const {
    for_slots(ptr, row, [&](int64_t slot) {
      for (int n = 0; n < N; ++n) {
        const A x = partial[slot * result.values + at + n];
        if (result.reduce == Reduce::mul) {
          total.value[n] *= x;
        } else if (!selects()) {
          total.value[n] += x;
        } else if (won[n] < 0 || is_better(result.reduce == Reduce::min, x, total.value[n])) {
          total.value[n] = x;
          won[n] = partial_arg[slot * result.values + at + n];
        }
      }
    });
  }

  GNNLIB_DEVICE void finish(Values<S, N>& total, const I (&won)[N], const Piece& row,
                            int64_t at) const {
    // Of sums in place: a row to which nothing comes is not written.
    if (result.term == result.out && row.begin == row.end) return;
    if (!selects()) {
      A scale = static_cast<A>(result.factor);
      if (result.row_scale) scale *= static_cast<const A*>(result.row_scale)[row.row];
      if (result.reduce == Reduce::mean && row.begin < row.end) scale /= A(row.end - row.begin);
      for (int n = 0; n < N; ++n) total.value[n] *= scale;
      if (result.term) {
        Values<S, N> term;
        term.load(static_cast<const S*>(result.term) + row.row * result.term_stride + at);
        for (int n = 0; n < N; ++n) total.value[n] += term.value[n] * A(result.term_factor);
      }
    }
    total.store(static_cast<S*>(result.out) + row.row * result.out_stride + at);
    if (selects() && result.arg) {
      I* arg = static_cast<I*>(result.arg) + row.row * result.values + at;
      for (int n = 0; n < N; ++n) arg[n] = won[n];
    }
  }

  GNNLIB_DEVICE void operator()() const {
    const int64_t group = groups.index();
    Piece piece;
    if (!find_piece(ptr, num_rows, num_edges, phase == 0, group, piece)) return;
    const bool in_slots = phase == 1 && partial && piece.end - piece.begin > kLong;
    for (int64_t at = groups.lane() * N; at < result.values; at += groups.lanes() * N) {
      Values<S, N> total;
      I won[N];
      total.fill(result.reduce == Reduce::mul ? A(1) : A(0));
      for (int n = 0; n < N; ++n) won[n] = I(-1);
      if (in_slots) {
        add_slots(total, won, piece.row, at);
      } else {
        add_edges(total, won, piece, at);
      }
      if (phase == 1) {
        finish(total, won, piece, at);
        continue;
      }
      for (int n = 0; n < N; ++n) {
        partial[group * result.values + at + n] = total.value[n];
        if (selects()) partial_arg[group * result.values + at + n] = won[n];
      }
    }
  }
};

// Runs the reduction with make<N>() for messages of packs of N values.
template <typename S, typename I, typename Make>
void reduce_rows(const char* name, const Result& result, const void* ptr, int64_t num_rows,
                 int64_t num_edges, const Partials& partials, const Where& where,
                 const Make& make) {
  if (result.values == 0) return;
  using A = Accumulate<S>;
  const Shape shape = shape_of(pack_of(result.values, sizeof(S)), result.values);
  with_pack<S>(shape.pack, [&]<int N>() {
    auto message = make.template operator()<N>();
    ReduceRows<S, I, N, decltype(message)> kernel{
        message,  result,    static_cast<const I*>(ptr),       shape.groups,
        num_rows, num_edges, static_cast<A*>(partials.values), static_cast<I*>(partials.args),
        0};
    if (partials.values) {
      launch_groups<kReduceThreads>(where, name, 2 * num_chunks(num_edges), shape.groups, kernel);
    }
    kernel.phase = 1;
    launch_groups<kReduceThreads>(where, name, num_rows, shape.groups, kernel);
  });
}

}  // namespace gnnlib::cuda
