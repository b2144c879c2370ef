// The rule of max and min, of which every kernel that has them must be in agreement: the first of
// equals wins, a NaN is better than all but a NaN, and an empty row gives 0 and the position −1.
#pragma once

#include <cmath>

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// A row before its first edge. What is as bad as can be is the first edge's unless a later is
// better.
template <int N, typename A, typename I>
GNNLIB_INLINE void begin_best(bool min, I begin, I stop, Vec<A, N>& best, Vec<I, N>& won) {
  const A worst = min ? A(INFINITY) : -A(INFINITY);
  best = Vec<A, N>{} + (begin < stop ? worst : A(0));
  won = Vec<I, N>{} + (begin < stop ? begin : I(-1));
}

// Keeps the better of `best` and `value`, and the position k it came from. Without Exact it takes
// fewer steps, and is right where there is no NaN: where the sum of all values is none (that of
// both infinities is one as well, and then they are looked at once more in vain).
template <bool Exact, int N, typename A, typename I>
GNNLIB_INLINE void take(bool min, Vec<A, N> value, I k, Vec<A, N>& best, Vec<I, N>& won) {
  using Taken = decltype(value > best);
  Taken taken;
  if constexpr (Exact) {
    const Taken no_better = min ? value >= best : value <= best;  // false where one is NaN
    taken = (best == best) & ~no_better;
  } else {
    taken = min ? value < best : value > best;
  }
  best = taken ? value : best;
  won = __builtin_convertvector(taken, Vec<I, N>) ? Vec<I, N>{} + k : won;
}

template <int N, typename A>
GNNLIB_INLINE bool has_nan(Vec<A, N> value) {
  bool found = false;
  for (int n = 0; n < N; ++n) found |= value[n] != value[n];
  return found;
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
