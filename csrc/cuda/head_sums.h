// One sum an edge and head, over the features of the head: sddmm, the scores of attention, and what
// their gradients need.
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

// Product: `operator()(ends, f)` gives the sum of a pack of features at f = head · dim + d.
// Put: `operator()(k, h, sum)` keeps what was found.
template <typename A, typename I, int N, typename Product, typename Put>
struct HeadSums {
  Product product;
  Put put;
  const I* ptr;  // null: position k is row k
  const I* col;  // null: position k reads row k
  Groups groups;
  int64_t num_rows, num_edges, heads, dim;

  GNNLIB_DEVICE void operator()() const {
    const int64_t first = groups.index() * kStrip;
    // Every lane takes part in every sum, those beyond the last edge with nothing to add.
    int64_t row = ptr && first < num_edges ? row_of(ptr, num_rows, first) : first;
    for (int64_t k = first; k < first + kStrip; ++k) {
      const bool there = k < num_edges;
      // The next row that has edges: seldom far, but nodes without any may be many.
      if (ptr && there && ptr[row + 1] <= k && ptr[++row + 1] <= k) row = row_of(ptr, num_rows, k);
      const Ends ends{ptr ? row : k, there && col ? int64_t(col[k]) : k, k};
      for (int64_t h = 0; h < heads; ++h) {
        A sum = 0;
        for (int64_t d = groups.lane() * N; there && d < dim; d += groups.lanes() * N) {
          sum += product(ends, h * dim + d);
        }
        sum = groups.sum(sum);
        if (there && groups.lane() == 0) put(k, h, sum);
      }
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
  GNNLIB_DEVICE void operator()(int64_t k, int64_t h, A sum) const {
    to[(eid ? int64_t(eid[k]) : k) * heads + h] = static_cast<T>(sum);
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
  const Shape shape = shape_of(pack_of(dim, sizeof(S)), dim);
  with_pack<S>(shape.pack, [&]<int N>() {
    auto product = make.template operator()<N>();
    const HeadSums<Accumulate<S>, I, N, decltype(product), Put> kernel{product,
                                                                       put,
                                                                       static_cast<const I*>(ptr),
                                                                       static_cast<const I*>(col),
                                                                       shape.groups,
                                                                       num_rows,
                                                                       num_edges,
                                                                       heads,
                                                                       dim};
    launch_groups<kSumThreads>(where, name, (num_edges + kStrip - 1) / kStrip, shape.groups,
                               kernel);
  });
}

}  // namespace gnnlib::cuda
