// One sum an edge and head, or two, over the features of the head: sddmm, and the scores of
// attention and their gradients.
//
// A group of lanes takes kStrip edges, one after the other: all groups do the same work whatever
// the rows are. The row of an edge is looked up once a strip.
#pragma once

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

namespace gnnlib::cuda {

constexpr int kSumThreads = 256, kStrip = 8;

// What belongs to edge position k of row i, whose source is j.
struct Ends {
  int64_t i, j, k;
};

// Two sums at once.
template <typename A>
struct Pair {
  A first, second;

  GNNLIB_DEVICE Pair& operator+=(const Pair& other) {
    first += other.first;
    second += other.second;
    return *this;
  }
};
template <typename A>
GNNLIB_DEVICE Pair<A> shuffle(const Pair<A>& value, int from, int group_bits) {
  return {shuffle(value.first, from, group_bits), shuffle(value.second, from, group_bits)};
}

// Product: `operator()(ends, f)` gives the sum, or the two, of a pack of features at
// f = head · dim + d. Put: `operator()(ends, h, sum)` keeps what was found.
template <typename I, int N, typename Product, typename Put>
struct HeadSums {
  Product product;
  Put put;
  const I* ptr;  // null: position k is row k
  const I* col;  // null: position k reads row k
  Groups groups;
  int bits;  // of the lanes that have a head; −1: the heads go by one after the other
  int64_t num_rows, num_edges, heads, dim;

  // Neighbouring lanes have a head, and the group as many heads as it has lanes for.
  GNNLIB_DEVICE void all_heads(const Ends& ends) const {
    const Groups head{bits};
    for (int64_t f = groups.lane() * N; f < heads * dim; f += groups.lanes() * N) {
      const auto sum = head.sum(product(ends, f));
      if (head.lane() == 0) put(ends, (f / N) >> bits, sum);
    }
  }

  GNNLIB_DEVICE void each_head(const Ends& ends) const {
    for (int64_t h = 0; h < heads; ++h) {
      decltype(product(ends, 0)) sum{};
      for (int64_t d = groups.lane() * N; d < dim; d += groups.lanes() * N)
        sum += product(ends, h * dim + d);
      sum = groups.sum(sum);
      if (groups.lane() == 0) put(ends, h, sum);
    }
  }

  GNNLIB_DEVICE void operator()() const {
    const int64_t first = groups.index() * kStrip;
    if (first >= num_edges) return;
    const int64_t last = first + kStrip < num_edges ? first + kStrip : num_edges;
    int64_t row = ptr ? row_of(ptr, num_rows, first) : first;
    for (int64_t k = first; k < last; ++k) {
      // The next row that has edges: seldom far, but nodes without any may be many.
      if (ptr && ptr[row + 1] <= k && ptr[++row + 1] <= k) row = row_of(ptr, num_rows, k);
      const Ends ends{ptr ? row : k, col ? int64_t(col[k]) : k, k};
      bits >= 0 ? all_heads(ends) : each_head(ends);
    }
  }
};

// Into an array [E, heads], by edge id or, without ids, by position.
template <typename T, typename I>
struct PutHeads {
  T* to;
  const I* eid;
  int64_t heads;

  template <typename A>
  GNNLIB_DEVICE void operator()(const Ends& ends, int64_t h, A sum) const {
    to[(eid ? int64_t(eid[ends.k]) : ends.k) * heads + h] = static_cast<T>(sum);
  }
};

// a[i, f] · b[j, f]
template <typename S, int N>
struct DotOf {
  const S* a;
  const S* b;
  int64_t stride;

  GNNLIB_DEVICE Accumulate<S> operator()(const Ends& ends, int64_t f) const {
    Values<S, N> x, y;
    x.load(a + ends.i * stride + f);
    y.load(b + ends.j * stride + f);
    Accumulate<S> sum = 0;
    for (int n = 0; n < N; ++n) sum += x.value[n] * y.value[n];
    return sum;
  }
};

// Runs the sums with make<N>() for products of packs of N values of the type S.
template <typename S, typename I, typename Make, typename Put>
void head_sums(const char* name, const void* ptr, const void* col, int64_t num_rows,
               int64_t num_edges, int64_t heads, int64_t dim, const Where& where, const Put& put,
               const Make& make) {
  if (num_edges == 0 || heads == 0) return;
  const int pack = pack_of(dim, sizeof(S)), bits = head_bits(pack, dim);
  const Groups groups = shape_of(pack, bits < 0 ? dim : heads * dim).groups;
  with_pack<S>(pack, [&]<int N>() {
    auto product = make.template operator()<N>();
    const HeadSums<I, N, decltype(product), Put> kernel{product,
                                                        put,
                                                        static_cast<const I*>(ptr),
                                                        static_cast<const I*>(col),
                                                        groups,
                                                        bits,
                                                        num_rows,
                                                        num_edges,
                                                        heads,
                                                        dim};
    launch_groups<kSumThreads>(where, name, (num_edges + kStrip - 1) / kStrip, groups, kernel);
  });
}

}  // namespace gnnlib::cuda
