// Attention over the edges of each destination: softmax and weighted sum in one pass.
//
// A group of lanes has a row, or a piece of a long one; each lane has a pack of features of one
// head and carries the largest score so far, Σ exp and the weighted sum. Where a larger score
// comes, what was summed before it is scaled down. The scores of gat are two numbers that each lane
// adds up itself; those of dot and gatv2 are sums over features, found by a kernel of their own.
#include "attention.h"

#include "attention_scores.h"
#include "head_sums.h"
#include "reduce.h"

namespace gnnlib::cuda {
namespace {

template <typename S, int N>
struct ScaledDot {
  DotOf<S, N> dot;
  double scale;

  GNNLIB_DEVICE Accumulate<S> operator()(const Ends& ends, int64_t f) const {
    return dot(ends, f) * Accumulate<S>(scale);
  }
};

// att[f] · leaky(x_dst[i, f] + x_src[j, f])
template <typename S, int N>
struct LeakyProduct {
  using A = Accumulate<S>;
  const S* own;
  const S* other;
  const A* att;
  int64_t stride;
  double slope;

  GNNLIB_DEVICE A operator()(const Ends& ends, int64_t f) const {
    Values<S, N> x, y;
    x.load(own + ends.i * stride + f);
    y.load(other + ends.j * stride + f);
    A sum = 0;
    for (int n = 0; n < N; ++n) sum += att[f + n] * leaky(x.value[n] + y.value[n], A(slope));
    return sum;
  }
};

// The state of a softmax-weighted sum of a pack.
template <typename S, int N>
struct Online {
  using A = Accumulate<S>;
  A top = -INFINITY, total = 0;
  Values<S, N> sum;

  // exp(score − from()) is what a score counts; a row of −inf alone has no top.
  GNNLIB_DEVICE A from() const { return top == A(-INFINITY) ? A(0) : top; }

  GNNLIB_DEVICE void raise(A high) {
    if (!(high > top)) return;  // a NaN is no top, and stays
    const A shrink = exp_of(top - high);
    total *= shrink;
    for (int n = 0; n < N; ++n) sum.value[n] *= shrink;
    top = high;
  }
  GNNLIB_DEVICE void add(A score, A factor, const Values<S, N>& x) {
    const A p = exp_of(score - from());
    total += p;
    if (factor == 0) return;
    for (int n = 0; n < N; ++n) sum.value[n] += p * factor * x.value[n];
  }
};

template <typename S, typename I, int N>
struct AttentionRows {
  using A = Accumulate<S>;

  AttentionArgs args;
  RawScore<A, I> score;
  DropFactor<I> drop;
  Groups groups;
  int64_t num_rows, num_edges;
  A* partial;  // of each slot: the sums [H, D], the tops [H], the totals [H]
  int phase;

  GNNLIB_DEVICE A* slot_of(int64_t slot) const {
    return partial + slot * args.heads * (args.dim + 2);
  }

  GNNLIB_DEVICE void add_edges(Online<S, N>& state, const Piece& piece, int64_t h,
                               int64_t at) const {
    const I* col = static_cast<const I*>(args.csr.col);
    const S* value = static_cast<const S*>(args.value);
    const int64_t stride = args.heads * args.dim;
    for (int64_t k = piece.begin; k < piece.end; k += kUnroll) {
      A scores[kUnroll];
      Values<S, N> x[kUnroll];
      A high = -INFINITY;
      for (int u = 0; u < kUnroll; ++u) {
        if (k + u >= piece.end) break;
        scores[u] = score(piece.row, k + u, h);
        if (args.score == Score::gat) scores[u] = leaky(scores[u], A(args.slope));
        high = scores[u] > high ? scores[u] : high;
        x[u].load(value + int64_t(col[k + u]) * stride + at);
      }
      state.raise(high);
      for (int u = 0; u < kUnroll; ++u) {
        if (k + u >= piece.end) break;
        state.add(scores[u], drop.template of<A>(k + u, h), x[u]);
      }
    }
  }

  GNNLIB_DEVICE void add_slots(Online<S, N>& state, int64_t row, int64_t h, int64_t at) const {
    const int64_t stride = args.heads * args.dim;
    for_slots(static_cast<const I*>(args.csr.ptr), row, [&](int64_t slot) {
      const A* from = slot_of(slot);
      const A top = from[stride + h];
      state.raise(top);
      const A shrink = top == A(-INFINITY) ? A(1) : exp_of(top - state.from());
      state.total += from[stride + args.heads + h] * shrink;
      for (int n = 0; n < N; ++n) state.sum.value[n] += from[at + n] * shrink;
    });
  }

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const int64_t group = groups.index();
    Piece piece;
    if (phase == 0) {
      if (group >= 2 * ((num_edges + kChunk - 1) / kChunk)) return;
      piece = piece_of(ptr, num_rows, num_edges, group / 2, int(group % 2));
      if (piece.begin == piece.end) return;
    } else {
      if (group >= num_rows) return;
      piece = {group, int64_t(ptr[group]), int64_t(ptr[group + 1])};
    }
    const int64_t stride = args.heads * args.dim;
    const bool in_slots = phase == 1 && partial && piece.end - piece.begin > kLong;
    for (int64_t at = groups.lane() * N; at < stride; at += groups.lanes() * N) {
      const int64_t h = at / args.dim;
      const bool speaks = at % args.dim == 0;  // for its head
      Online<S, N> state;
      state.sum.fill(0);
      if (in_slots) {
        add_slots(state, piece.row, h, at);
      } else {
        add_edges(state, piece, h, at);
      }
      if (phase == 0) {
        A* to = slot_of(group);
        for (int n = 0; n < N; ++n) to[at + n] = state.sum.value[n];
        if (speaks) {
          to[stride + h] = state.top;
          to[stride + args.heads + h] = state.total;
        }
        continue;
      }
      const bool empty = piece.begin == piece.end;
      for (int n = 0; n < N; ++n)
        state.sum.value[n] = empty ? A(0) : state.sum.value[n] / state.total;
      state.sum.store(static_cast<S*>(args.out) + piece.row * stride + at);
      if (speaks) {
        static_cast<A*>(args.lse)[piece.row * args.heads + h] =
            empty ? A(-INFINITY) : state.top + log_of(state.total);
      }
    }
  }
};

// lse alone, for rows without features: a thread for each row and head.
template <typename S, typename I>
struct LogSumExp {
  using A = Accumulate<S>;

  AttentionArgs args;
  RawScore<A, I> score;
  int64_t num_rows;

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const int64_t n = block() * threads() + thread();
    if (n >= num_rows * args.heads) return;
    const int64_t i = n / args.heads, h = n % args.heads;
    Online<S, 1> state;
    state.sum.fill(0);
    for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
      A s = score(i, k, h);
      if (args.score == Score::gat) s = leaky(s, A(args.slope));
      state.raise(s);
      state.add(s, 0, state.sum);
    }
    static_cast<A*>(args.lse)[n] =
        ptr[i] == ptr[i + 1] ? A(-INFINITY) : state.top + log_of(state.total);
  }
};

}  // namespace

void attention_scores(const AttentionArgs& args, int64_t num_rows, int64_t num_edges, void* scores,
                      const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const PutHeads<A, I> put{static_cast<A*>(scores), nullptr, args.heads};
    const int64_t stride = args.heads * args.dim;
    const S* query = static_cast<const S*>(args.query);
    auto sums = [&](const auto& make) {
      head_sums<S, I>("attention", args.csr.ptr, args.csr.col, num_rows, num_edges, args.heads,
                      args.dim, where, put, make);
    };
    if (args.score == Score::dot) {
      sums([&]<int N>() {
        return ScaledDot<S, N>{{query, static_cast<const S*>(args.key), stride}, args.scale};
      });
    } else {
      sums([&]<int N>() {
        return LeakyProduct<S, N>{query, static_cast<const S*>(args.value),
                                  static_cast<const A*>(args.att), stride, args.slope};
      });
    }
  });
}

void attention(const AttentionArgs& args, int64_t num_rows, int64_t num_edges, const void* scores,
               void* partial, const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const RawScore<A, I> score(args, scores);
    if (args.dim == 0) {
      launch_threads<kReduceThreads>(where, "attention", num_rows * args.heads,
                                     LogSumExp<S, I>{args, score, num_rows});
      return;
    }
    // Packs lie within a head.
    const Shape shape = shape_of(pack_of(args.dim, sizeof(S)), args.heads * args.dim);
    with_pack<S>(shape.pack, [&]<int N>() {
      AttentionRows<S, I, N> kernel{args,     score,     DropFactor<I>(args),      shape.groups,
                                    num_rows, num_edges, static_cast<A*>(partial), 0};
      if (partial) {
        launch_groups<kReduceThreads>(where, "attention", 2 * num_chunks(num_edges), shape.groups,
                                      kernel);
      }
      kernel.phase = 1;
      launch_groups<kReduceThreads>(where, "attention", num_rows, shape.groups, kernel);
    });
  });
}

}  // namespace gnnlib::cuda
