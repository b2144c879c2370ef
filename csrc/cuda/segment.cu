// Softmax over the edges of each destination, its gradient, and the spread of rows to edges.
//
// First a warp for each row, or piece of a long row, finds what belongs to the row: the largest
// score and Σ exp, or Σ out · grad. Then a thread for each edge and head writes its result. So a
// row of any length costs what its edges cost.
#include "segment.h"

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;
constexpr Groups kWhole{5};  // a warp

// (largest score, Σ exp(score − largest)), as softmax carries them along.
template <typename A>
struct Top {
  A top, total;

  GNNLIB_DEVICE static Top none() { return {-INFINITY, 0}; }
  // Nothing has been seen where the largest is −inf: exp(−inf − −inf) would be NaN.
  GNNLIB_DEVICE static A scale(A from, A to) {
    return to == A(-INFINITY) ? A(1) : exp_of(from - to);
  }
  GNNLIB_DEVICE void add(A score) { merge({score, 1}); }
  GNNLIB_DEVICE void merge(const Top& other) {
    const A high = other.top > top || other.top != other.top ? other.top : top;
    total = total * scale(top, high) + other.total * scale(other.top, high);
    top = high;
  }
  GNNLIB_DEVICE Top from(int lane) const {
    return {shuffle(top, lane, kWhole.bits), shuffle(total, lane, kWhole.bits)};
  }
};

// Σ out · grad, for the gradient.
template <typename A>
struct Sum {
  A top, total;  // top is not used

  GNNLIB_DEVICE static Sum none() { return {0, 0}; }
  GNNLIB_DEVICE void merge(const Sum& other) { total += other.total; }
  GNNLIB_DEVICE Sum from(int lane) const { return {0, shuffle(total, lane, kWhole.bits)}; }
};

// Lanes are edges, then the other lanes of the warp are merged in a fixed tree.
template <typename S, typename I, bool Backward>
struct SoftmaxStats {
  using A = Accumulate<S>;
  using State = std::conditional_t<Backward, Sum<A>, Top<A>>;

  SoftmaxArgs args;
  int64_t num_rows, num_edges;
  A* stats;  // [num_rows, heads, 2], then [slots, heads, 2]
  int phase;

  GNNLIB_DEVICE A* of_slot(int64_t slot) const {
    return stats + (num_rows + slot) * args.heads * 2;
  }

  GNNLIB_DEVICE State of_edge(int64_t k, int64_t h) const {
    const I* eid = static_cast<const I*>(args.csr.eid);
    const int64_t at = (eid ? int64_t(eid[k]) : k) * args.heads + h;
    const A score = static_cast<A>(static_cast<const S*>(args.scores)[at]);
    if constexpr (Backward) {
      return {0, score * static_cast<A>(static_cast<const S*>(args.grad)[at])};
    } else {
      return {score, 1};
    }
  }

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const int64_t task = block() * (threads() / kWarp) + warp();
    Piece piece;
    if (!find_piece(ptr, num_rows, num_edges, phase == 0, task, piece)) return;
    A* to = phase == 0 ? of_slot(task) : stats + task * args.heads * 2;
    const bool in_slots = phase == 1 && piece.end - piece.begin > kLong;
    for (int64_t h = 0; h < args.heads; ++h) {
      State state = State::none();
      if (in_slots) {
        for_slots(ptr, piece.row, [&](int64_t slot) {
          const A* from = of_slot(slot) + h * 2;
          state.merge({from[0], from[1]});
        });
      } else {
        for (int64_t k = piece.begin + lane(); k < piece.end; k += kWarp)
          state.merge(of_edge(k, h));
        for (int step = kWarp / 2; step > 0; step /= 2) state.merge(state.from(lane() ^ step));
      }
      if (lane() == 0) {
        to[h * 2] = state.top;
        to[h * 2 + 1] = state.total;
      }
    }
  }
};

template <typename S, typename I, bool Backward>
struct SoftmaxEdges {
  using A = Accumulate<S>;

  SoftmaxArgs args;
  int64_t num_rows, num_edges;
  const A* stats;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n >= num_edges * args.heads) return;
    const int64_t k = n / args.heads, h = n % args.heads;
    const I* eid = static_cast<const I*>(args.csr.eid);
    const int64_t at = (eid ? int64_t(eid[k]) : k) * args.heads + h;
    const int64_t i = row_of(static_cast<const I*>(args.csr.ptr), num_rows, k);
    const A* own = stats + (i * args.heads + h) * 2;
    const A score = static_cast<A>(static_cast<const S*>(args.scores)[at]);
    A result;
    if constexpr (Backward) {
      result = score * (static_cast<A>(static_cast<const S*>(args.grad)[at]) - own[1]);
    } else {
      result = exp_of(score - own[0]) / own[1];
    }
    static_cast<S*>(args.out)[at] = static_cast<S>(result);
  }
};

template <bool Backward>
void run(const SoftmaxArgs& args, int64_t num_rows, int64_t num_edges, void* stats,
         const Where& where) {
  if (num_edges == 0 || args.heads == 0) return;
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    SoftmaxStats<S, I, Backward> rows{args, num_rows, num_edges, static_cast<A*>(stats), 0};
    if (num_edges > kLong) {
      launch_groups<kThreads>(where, "segment_softmax", 2 * num_chunks(num_edges), kWhole, rows);
    }
    rows.phase = 1;
    launch_groups<kThreads>(where, "segment_softmax", num_rows, kWhole, rows);
    const SoftmaxEdges<S, I, Backward> edges{args, num_rows, num_edges, rows.stats};
    launch_threads<kThreads>(where, "segment_softmax", num_edges * args.heads, edges);
  });
}

// A group of lanes for each edge.
template <typename Unit, typename I>
struct Expand {
  Csr csr;
  RowsArgs args;
  Groups groups;
  int64_t num_rows, num_edges, units;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = groups.index();
    if (k >= num_edges) return;
    const I* eid = static_cast<const I*>(csr.eid);
    const int64_t i = row_of(static_cast<const I*>(csr.ptr), num_rows, k);
    const Unit* from = static_cast<const Unit*>(args.from) + i * units;
    Unit* to = static_cast<Unit*>(args.to) + (eid ? int64_t(eid[k]) : k) * units;
    for (int64_t u = groups.lane(); u < units; u += groups.lanes()) to[u] = from[u];
  }
};

}  // namespace

void softmax(const SoftmaxArgs& args, int64_t num_rows, int64_t num_edges, void* stats,
             const Where& where) {
  run<false>(args, num_rows, num_edges, stats, where);
}

void softmax_backward(const SoftmaxArgs& args, int64_t num_rows, int64_t num_edges, void* stats,
                      const Where& where) {
  run<true>(args, num_rows, num_edges, stats, where);
}

void expand(const Csr& csr, const RowsArgs& args, int64_t num_rows, int64_t num_edges,
            const Where& where) {
  if (args.bytes == 0) return;
  with_unit(args.bytes, [&]<typename Unit>() {
    const int64_t units = args.bytes / int64_t(sizeof(Unit));
    const Groups groups = shape_of(1, units).groups;
    with_index(csr.wide, [&]<typename I>() {
      launch_groups<kThreads>(where, "segment_expand", num_edges, groups,
                              Expand<Unit, I>{csr, args, groups, num_rows, num_edges, units});
    });
  });
}

}  // namespace gnnlib::cuda
