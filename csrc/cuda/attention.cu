// Attention over the edges of each destination: softmax and weighted sum in one pass.
//
// A group of lanes has a row, or a piece of a long one; each lane has a pack of features of one
// head and carries the largest score so far, Σ exp and the weighted sum. Where a larger score
// comes, what was summed before it is scaled down. The scores of gat are two numbers that each lane
// adds up itself; those of dot and gatv2 are sums over features, which the lanes that have a head
// find together or, where a head is not that of a power of two of lanes, a kernel before this one.
#include "attention.h"

#include "attention_scores.h"
#include "reduce.h"

namespace gnnlib::cuda {
namespace {

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

// How the score of an edge and head is found: by each lane from numbers that are there (gat; the
// others where no lanes have a head to themselves), or as a sum over the lanes that have the head.
enum class Find { there, dot, gatv2 };

template <typename S, typename I, int N, Find How>
struct AttentionRows {
  using A = Accumulate<S>;

  AttentionArgs args;
  RawScore<A, I> score;
  DropFactor<I> drop;
  Groups groups, head;
  int64_t num_rows, num_edges;
  A* partial;  // of each slot: the sums [H, D], the tops [H], the totals [H]
  int phase;

  // What a lane has of the row: its head, its features, and their part of the query and of att.
  struct Own {
    int64_t row, h, at;
    Values<S, N> query, att;
  };

  GNNLIB_DEVICE Own own_of(int64_t row, int64_t at) const {
    Own own{row, at / args.dim, at, {}, {}};
    if constexpr (How != Find::there)
      own.query.load(static_cast<const S*>(args.query) + row * args.heads * args.dim + at);
    if constexpr (How == Find::gatv2) {
      for (int n = 0; n < N; ++n) own.att.value[n] = static_cast<const A*>(args.att)[at + n];
    }
    return own;
  }

  // `other`: the source's part of the score.
  GNNLIB_DEVICE A score_of(const Own& own, int64_t k, const Values<S, N>& other) const {
    A sum = 0;
    if constexpr (How == Find::dot) {
      for (int n = 0; n < N; ++n) sum += own.query.value[n] * other.value[n];
      sum = head.sum(sum) * A(args.scale);
    } else if constexpr (How == Find::gatv2) {
      for (int n = 0; n < N; ++n)
        sum += own.att.value[n] * leaky(own.query.value[n] + other.value[n], A(args.slope));
      sum = head.sum(sum);
    }
    sum += score(own.row, k, own.h);
    return args.score == Score::gat ? leaky(sum, A(args.slope)) : sum;
  }

  template <int Edges>
  GNNLIB_DEVICE void add_some(Online<S, N>& state, const Own& own, int64_t k) const {
    const I* col = static_cast<const I*>(args.csr.col);
    Values<S, N> x[Edges], key[Edges];
    for (int u = 0; u < Edges; ++u) {
      const int64_t from = int64_t(col[k + u]) * args.heads * args.dim + own.at;
      x[u].load(static_cast<const S*>(args.value) + from);
      if constexpr (How == Find::dot) key[u].load(static_cast<const S*>(args.key) + from);
    }
    A scores[Edges], high = -INFINITY;
    for (int u = 0; u < Edges; ++u) {
      scores[u] = score_of(own, k + u, How == Find::dot ? key[u] : x[u]);
      high = scores[u] > high ? scores[u] : high;
    }
    state.raise(high);
    for (int u = 0; u < Edges; ++u) state.add(scores[u], drop.template of<A>(k + u, own.h), x[u]);
  }

  GNNLIB_DEVICE A* slot_of(int64_t slot) const {
    return partial + slot * args.heads * (args.dim + 2);
  }

  GNNLIB_DEVICE void add_slots(Online<S, N>& state, const Own& own) const {
    const int64_t stride = args.heads * args.dim;
    for_slots(static_cast<const I*>(args.csr.ptr), own.row, [&](int64_t slot) {
      const A* from = slot_of(slot);
      const A top = from[stride + own.h];
      state.raise(top);
      const A shrink = top == A(-INFINITY) ? A(1) : exp_of(top - state.from());
      state.total += from[stride + args.heads + own.h] * shrink;
      for (int n = 0; n < N; ++n) state.sum.value[n] += from[own.at + n] * shrink;
    });
  }

  // `speaks`: this lane writes what its head has once.
  GNNLIB_DEVICE void put_slot(const Online<S, N>& state, const Own& own, bool speaks,
                              int64_t slot) const {
    A* to = slot_of(slot);
    for (int n = 0; n < N; ++n) to[own.at + n] = state.sum.value[n];
    if (!speaks) return;
    to[args.heads * args.dim + own.h] = state.top;
    to[args.heads * args.dim + args.heads + own.h] = state.total;
  }

  GNNLIB_DEVICE void put_row(Online<S, N>& state, const Own& own, bool speaks, bool empty) const {
    for (int n = 0; n < N; ++n)
      state.sum.value[n] = empty ? A(0) : state.sum.value[n] / state.total;
    state.sum.store(static_cast<S*>(args.out) + own.row * args.heads * args.dim + own.at);
    if (!speaks) return;
    static_cast<A*>(args.lse)[own.row * args.heads + own.h] =
        empty ? A(-INFINITY) : state.top + log_of(state.total);
  }

  GNNLIB_DEVICE void operator()() const {
    const int64_t group = groups.index();
    Piece piece;
    if (!find_piece(static_cast<const I*>(args.csr.ptr), num_rows, num_edges, phase == 0, group,
                    piece)) {
      return;
    }
    const bool in_slots = phase == 1 && partial && piece.end - piece.begin > kLong;
    for (int64_t at = groups.lane() * N; at < args.heads * args.dim; at += groups.lanes() * N) {
      const Own own = own_of(piece.row, at);
      Online<S, N> state;
      state.sum.fill(0);
      if (in_slots) {
        add_slots(state, own);
      } else {
        int64_t k = piece.begin;
        for (; k + kUnroll <= piece.end; k += kUnroll) add_some<kUnroll>(state, own, k);
        for (; k < piece.end; ++k) add_some<1>(state, own, k);
      }
      const bool speaks = at == own.h * args.dim;
      if (phase == 0) {
        put_slot(state, own, speaks, group);
      } else {
        put_row(state, own, speaks, piece.begin == piece.end);
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

bool needs_scores(const AttentionArgs& args) {
  if (args.score == Score::gat || args.dim == 0) return false;
  const int64_t each = args.dtype == Dtype::f64 ? 8 : args.dtype == Dtype::f32 ? 4 : 2;
  return head_bits(pack_of(args.dim, each), args.dim) < 0;
}

void attention_scores(const AttentionArgs& args, int64_t num_rows, int64_t num_edges, void* scores,
                      const Where& where) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const PutHeads<A, I> put{static_cast<A*>(scores), nullptr, args.heads};
    with_products<S>(args, [&](const auto& make) {
      head_sums<S, I>("attention", args.csr.ptr, args.csr.col, num_rows, num_edges, args.heads,
                      args.dim, where, put, make);
    });
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
    const Groups head{head_bits(shape.pack, args.dim)};
    with_pack<S>(shape.pack, [&]<int N>() {
      auto run = [&]<Find How>() {
        AttentionRows<S, I, N, How> kernel{
            args, score,    DropFactor<I>(args), shape.groups,
            head, num_rows, num_edges,           static_cast<A*>(partial),
            0};
        if (partial) {
          launch_groups<kReduceThreads>(where, "attention", 2 * num_chunks(num_edges), shape.groups,
                                        kernel);
        }
        kernel.phase = 1;
        launch_groups<kReduceThreads>(where, "attention", num_rows, shape.groups, kernel);
      };
      if (args.score == Score::gat || scores) return run.template operator()<Find::there>();
      args.score == Score::dot ? run.template operator()<Find::dot>()
                               : run.template operator()<Find::gatv2>();
    });
  });
}

}  // namespace gnnlib::cuda
