// One value an edge and head from the rows at its two ends.
#include "sddmm.h"

#include "head_sums.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;

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
      launch_threads<kThreads>(where, "sddmm", num_edges * args.heads,
                               SddmmEach<S, I>{args, num_rows, num_edges});
      return;
    }
    const PutHeads<S, I> put{static_cast<S*>(args.out), static_cast<const I*>(args.csr.eid),
                             args.heads};
    head_sums<S, I>("sddmm", args.csr.ptr, args.csr.col, num_rows, num_edges, args.heads, args.dim,
                    where, put, [&]<int N>() {
                      return DotOf<S, N>{static_cast<const S*>(args.a),
                                         static_cast<const S*>(args.b), args.heads * args.dim};
                    });
  });
}

}  // namespace gnnlib::cuda
