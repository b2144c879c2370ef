// Reduce the weighted source rows of each destination row.
//
// A group of lanes has a row, each lane one pack of neighbouring features in registers (several,
// one after the other, where the row is wider than a warp). The edges of a row go by in fours, so
// that four source rows are on their way at once; they are added in order, whatever the groups are.
#include "spmm.h"

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256, kUnroll = 4;

template <typename S, typename I, int N, int Lanes>
struct SpmmRows {
  using A = Accumulate<S>;

  SpmmArgs args;
  int64_t num_rows, num_edges;
  A* partial;     // [2 · chunks, values]; null: no row is long
  I* partial_arg;  // likewise, of max and min
  int phase;       // 0: the pieces of long rows; 1: all rows

  GNNLIB_DEVICE bool selects() const {
    return args.reduce == Reduce::max || args.reduce == Reduce::min;
  }

  // What a source row is multiplied by, at the features [at, at + N).
  GNNLIB_DEVICE void weigh(int64_t k, int64_t j, int64_t at, Values<S, N>& value) const {
    const S* weight = static_cast<const S*>(args.weight);
    const I* eid = static_cast<const I*>(args.csr.eid);
    if (weight) {
      const int64_t e = eid ? int64_t(eid[k]) : k, stride = args.heads * args.dim;
      if (args.weights == Weights::edge) {
        const A w = static_cast<A>(weight[e]);
        for (int n = 0; n < N; ++n) value.value[n] *= w;
      } else if (args.weights == Weights::head) {
        for (int n = 0; n < N; ++n)
          value.value[n] *= static_cast<A>(weight[e * args.heads + (at + n) / args.dim]);
      } else {
        Values<S, N> own;
        own.load(weight + e * stride + at);
        for (int n = 0; n < N; ++n) value.value[n] *= own.value[n];
      }
    }
    if (args.col_scale) {
      const A scale = static_cast<const A*>(args.col_scale)[j];
      for (int n = 0; n < N; ++n) value.value[n] *= scale;
    }
  }

  GNNLIB_DEVICE void start(Values<S, N>& total, I (&won)[N], bool any) const {
    A zero = 0;
    if (args.reduce == Reduce::mul) zero = 1;
    if (any && args.reduce == Reduce::max) zero = -INFINITY;
    if (any && args.reduce == Reduce::min) zero = INFINITY;
    total.fill(zero);
    for (int n = 0; n < N; ++n) won[n] = I(-1);
  }

  // The first of equals wins; a NaN is better than all but a NaN.
  GNNLIB_DEVICE void take(Values<S, N>& total, I (&won)[N], const Values<S, N>& value, I k) const {
    for (int n = 0; n < N; ++n) {
      const A x = value.value[n], best = total.value[n];
      switch (args.reduce) {
        case Reduce::mul:
          total.value[n] = best * x;
          break;
        case Reduce::max:
        case Reduce::min: {
          const A stored = static_cast<A>(static_cast<S>(x));  // ties are those of what is stored
          const bool no_better = args.reduce == Reduce::min ? stored >= best : stored <= best;
          const bool first = won[n] < 0;
          if (first || (best == best && !no_better)) {
            total.value[n] = stored;
            won[n] = k;
          }
          break;
        }
        default:
          total.value[n] = best + x;
      }
    }
  }

  GNNLIB_DEVICE void add_edges(Values<S, N>& total, I (&won)[N], int64_t begin, int64_t end,
                               int64_t at) const {
    const I* col = static_cast<const I*>(args.csr.col);
    const S* x = static_cast<const S*>(args.x);
    int64_t k = begin;
    for (; k + kUnroll <= end; k += kUnroll) {
      int64_t j[kUnroll];
      Values<S, N> value[kUnroll];
      for (int u = 0; u < kUnroll; ++u) j[u] = col ? int64_t(col[k + u]) : k + u;
      for (int u = 0; u < kUnroll; ++u) value[u].load(x + j[u] * args.x_stride + at);
      for (int u = 0; u < kUnroll; ++u) weigh(k + u, j[u], at, value[u]);
      for (int u = 0; u < kUnroll; ++u) take(total, won, value[u], I(k + u));
    }
    for (; k < end; ++k) {
      const int64_t j = col ? int64_t(col[k]) : k;
      Values<S, N> value;
      value.load(x + j * args.x_stride + at);
      weigh(k, j, at, value);
      take(total, won, value, I(k));
    }
  }

  GNNLIB_DEVICE void add_slots(Values<S, N>& total, I (&won)[N], const I* ptr, int64_t row,
                               int64_t at) const {
    const int64_t stride = args.heads * args.dim;
    for_slots(ptr, row, [&](int64_t slot) {
      Values<S, N> value;
      for (int n = 0; n < N; ++n) value.value[n] = partial[slot * stride + at + n];
      if (!selects()) return take(total, won, value, I(0));
      for (int n = 0; n < N; ++n) {
        const I k = partial_arg[slot * stride + at + n];
        const A x = value.value[n], best = total.value[n];
        const bool no_better = args.reduce == Reduce::min ? x >= best : x <= best;
        if (won[n] < 0 || (best == best && !no_better)) {
          total.value[n] = x;
          won[n] = k;
        }
      }
    });
  }

  GNNLIB_DEVICE void finish(Values<S, N>& total, const I (&won)[N], int64_t i, int64_t edges,
                            int64_t at) const {
    const int64_t stride = args.heads * args.dim;
    S* out = static_cast<S*>(args.out) + i * args.out_stride + at;
    if (!selects()) {
      A scale = static_cast<A>(args.factor);
      if (args.row_scale) scale *= static_cast<const A*>(args.row_scale)[i];
      if (args.reduce == Reduce::mean && edges > 0) scale /= A(edges);
      for (int n = 0; n < N; ++n) total.value[n] *= scale;
      if (args.term) {
        Values<S, N> term;
        term.load(static_cast<const S*>(args.term) + i * args.term_stride + at);
        for (int n = 0; n < N; ++n) total.value[n] += term.value[n] * A(args.term_factor);
      }
    }
    total.store(out);
    if (selects() && args.arg) {
      I* arg = static_cast<I*>(args.arg) + i * stride + at;
      for (int n = 0; n < N; ++n) arg[n] = won[n];
    }
  }

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const int64_t group = block() * (threads() / Lanes) + thread() / Lanes;
    const int64_t stride = args.heads * args.dim;
    Piece piece;
    if (phase == 0) {
      if (group >= 2 * ((num_edges + kChunk - 1) / kChunk)) return;
      piece = piece_of(ptr, num_rows, num_edges, group / 2, int(group % 2));
      if (piece.begin == piece.end) return;
    } else {
      if (group >= num_rows) return;
      piece = {group, int64_t(ptr[group]), int64_t(ptr[group + 1])};
    }
    const bool in_slots = phase == 1 && partial && piece.end - piece.begin > kLong;
    for (int64_t at = thread() % Lanes * N; at < stride; at += Lanes * N) {
      Values<S, N> total;
      I won[N];
      start(total, won, piece.begin < piece.end);
      if (in_slots) {
        add_slots(total, won, ptr, piece.row, at);
      } else {
        add_edges(total, won, piece.begin, piece.end, at);
      }
      if (phase == 1) {
        finish(total, won, piece.row, piece.end - piece.begin, at);
        continue;
      }
      for (int n = 0; n < N; ++n) {
        partial[group * stride + at + n] = total.value[n];
        if (selects()) partial_arg[group * stride + at + n] = won[n];
      }
    }
  }
};

template <typename S, typename I>
void run_spmm(const SpmmArgs& args, int64_t num_rows, int64_t num_edges, void* partial,
              void* partial_arg, const Where& where) {
  using A = Accumulate<S>;
  const int64_t values = args.heads * args.dim;
  with_shape<int(16 / sizeof(S))>(shape_of(values, sizeof(S)), [&]<int N, int Lanes>() {
    SpmmRows<S, I, N, Lanes> kernel{args, num_rows, num_edges, static_cast<A*>(partial),
                                    static_cast<I*>(partial_arg), 0};
    if (partial) {
      const int64_t slots = 2 * num_chunks(num_edges);
      launch<kThreads>(where, "spmm", blocks_for(slots, Lanes, kThreads), 0, kernel);
    }
    kernel.phase = 1;
    launch<kThreads>(where, "spmm", blocks_for(num_rows, Lanes, kThreads), 0, kernel);
  });
}

}  // namespace

void spmm(const SpmmArgs& args, int64_t num_rows, int64_t num_edges, void* partial,
          void* partial_arg, const Where& where) {
  if (args.heads * args.dim == 0) return;
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    run_spmm<S, I>(args, num_rows, num_edges, partial, partial_arg, where);
  });
}

}  // namespace gnnlib::cuda
