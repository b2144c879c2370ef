// One value an edge and head from the rows at its two ends.
//
// A group of lanes takes kStrip edges, one after the other, and their dot products together: all
// groups do the same work whatever the rows are. The row of an edge is looked up once a strip.
#include "sddmm.h"

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256, kStrip = 8;

template <typename S, typename I, int N, int Lanes>
struct SddmmDot {
  using A = Accumulate<S>;

  SddmmArgs args;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* a = static_cast<const S*>(args.a);
    const S* b = static_cast<const S*>(args.b);
    S* out = static_cast<S*>(args.out);
    const int64_t stride = args.heads * args.dim;
    const int64_t first = (block() * (threads() / Lanes) + thread() / Lanes) * kStrip;
    const int in_group = thread() % Lanes;
    // Every lane takes part in every sum, those beyond the last edge with nothing to add.
    int64_t row = first < num_edges ? row_of(ptr, num_rows, first) : 0;
    for (int64_t k = first; k < first + kStrip; ++k) {
      const bool there = k < num_edges;
      while (there && ptr[row + 1] <= k) ++row;
      const S* left = a + row * stride;
      const S* right = b + (there ? int64_t(col[k]) : 0) * stride;
      for (int64_t h = 0; h < args.heads; ++h) {
        A sum = 0;
        for (int64_t d = in_group * N; there && d < args.dim; d += Lanes * N) {
          Values<S, N> x, y;
          x.load(left + h * args.dim + d);
          y.load(right + h * args.dim + d);
          for (int n = 0; n < N; ++n) sum += x.value[n] * y.value[n];
        }
        sum = group_sum<Lanes>(sum);
        if (there && in_group == 0) {
          out[(eid ? int64_t(eid[k]) : k) * args.heads + h] = static_cast<S>(sum);
        }
      }
    }
  }
};

// add, sub, mul and copy: a thread for each edge and head.
template <typename S, typename I>
struct SddmmEach {
  using A = Accumulate<S>;

  SddmmArgs args;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n >= num_edges * args.heads) return;
    const int64_t k = n / args.heads, h = n % args.heads;
    const I* eid = static_cast<const I*>(args.csr.eid);
    S* to = static_cast<S*>(args.out) + (eid ? int64_t(eid[k]) : k) * args.heads + h;
    const int64_t j = static_cast<const I*>(args.csr.col)[k];
    const S right = static_cast<const S*>(args.b)[j * args.heads + h];
    if (args.op == EdgeOp::copy) {
      *to = right;
      return;
    }
    const int64_t i = row_of(static_cast<const I*>(args.csr.ptr), num_rows, k);
    const A x = static_cast<A>(static_cast<const S*>(args.a)[i * args.heads + h]);
    const A y = static_cast<A>(right);
    *to = static_cast<S>(args.op == EdgeOp::add ? x + y : args.op == EdgeOp::sub ? x - y : x * y);
  }
};

}  // namespace

void sddmm(const SddmmArgs& args, int64_t num_rows, int64_t num_edges, const Where& where) {
  if (num_edges == 0 || args.heads == 0) return;
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    if (args.op != EdgeOp::dot) {
      const int64_t blocks = blocks_for(num_edges * args.heads, 1, kThreads);
      launch<kThreads>(where, "sddmm", blocks, 0, SddmmEach<S, I>{args, num_rows, num_edges});
      return;
    }
    with_shape<int(16 / sizeof(S))>(shape_of(args.dim, sizeof(S)), [&]<int N, int Lanes>() {
      const int64_t strips = (num_edges + kStrip - 1) / kStrip;
      launch<kThreads>(where, "sddmm", blocks_for(strips, Lanes, kThreads), 0,
                       SddmmDot<S, I, N, Lanes>{args, num_rows, num_edges});
    });
  });
}

}  // namespace gnnlib::cuda
