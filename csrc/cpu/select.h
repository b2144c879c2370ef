// The rule of max and min, of which every kernel that has them must be in agreement: the first of
// equals wins, a NaN is better than all but a NaN, and an empty row gives 0 and the position −1.
#pragma once

#include <cmath>
#include <type_traits>

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// The place of a winner, counted from the first edge of a run of the row: as wide as the values, so
// that a vector of these and one of those are compared and kept in one step each.
template <typename A>
using Place = std::conditional_t<sizeof(A) == 8, int64_t, int32_t>;

constexpr int64_t kRun = int64_t(1) << 30;  // edges; a longer row is taken in runs of so many

// A row before its first edge. What is as bad as can be is the first edge's unless a later is
// better.
template <int N, typename A>
GNNLIB_INLINE void begin_best(bool min, bool has_edges, Vec<A, N>& best, Vec<Place<A>, N>& won) {
  const A worst = min ? A(INFINITY) : -A(INFINITY);
  best = Vec<A, N>{} + (has_edges ? worst : A(0));
  won = Vec<Place<A>, N>{} + Place<A>(has_edges ? 0 : -1);
}

// f(from, to) for the runs of a row: for none of its edges, too, so that f may write what it found.
template <typename F>
GNNLIB_INLINE void for_runs(int64_t begin, int64_t stop, const F& f) {
  int64_t from = begin;
  do {
    const int64_t to = stop - from > kRun ? from + kRun : stop;
    f(from, to);
    from = to;
  } while (from < stop);
}

// Writes the positions of the winners that a run from position `from` on has, and begins another.
template <int N, typename A, typename I>
GNNLIB_INLINE void put_won(I* to, int64_t begin, int64_t from, Vec<Place<A>, N>& won) {
  if (from == begin) {
    const Vec<I, N> place = __builtin_convertvector(won, Vec<I, N>);
    const Vec<I, N> at = place < 0 ? place : place + I(from);
    __builtin_memcpy(to, &at, sizeof(at));
  } else {
    for (int n = 0; n < N; ++n) {
      if (won[n] >= 0) to[n] = I(from + won[n]);
    }
  }
  won = Vec<Place<A>, N>{} + Place<A>(-1);
}

// Keeps the better of `best` and `value`, and the place k it came from. Without Exact it takes
// fewer steps, and is right where there is no NaN: where the sum of all values is none (that of
// both infinities is one as well, and then they are looked at once more in vain).
template <bool Exact, int N, typename A>
GNNLIB_INLINE void take(bool min, Vec<A, N> value, Place<A> k, Vec<A, N>& best,
                        Vec<Place<A>, N>& won) {
  Vec<Place<A>, N> taken;
  if constexpr (Exact) {
    const Vec<Place<A>, N> no_better = min ? value >= best : value <= best;  // not if one is NaN
    taken = (best == best) & ~no_better;
  } else {
    taken = min ? value < best : value > best;
  }
  best = taken ? value : best;
  won = taken ? Vec<Place<A>, N>{} + k : won;
}

template <int N, typename A>
GNNLIB_INLINE bool has_nan(Vec<A, N> value) {
  bool found = false;
  for (int n = 0; n < N; ++n) found |= value[n] != value[n];
  return found;
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
