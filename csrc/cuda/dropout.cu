// Dropout whose mask is a hash of the seed, the edge and the head.
#include "dropout.h"

#include "../hash.h"
#include "launch.h"
#include "numbers.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;

template <typename S, typename I>
struct Dropout {
  DropoutArgs args;
  int64_t num_edges;

  GNNLIB_DEVICE void operator()() const {
    using A = Accumulate<S>;
    const int64_t n = block() * threads() + thread();
    if (n >= num_edges * args.heads) return;
    const int64_t k = n / args.heads, h = n % args.heads;
    const I* eid = static_cast<const I*>(args.eid);
    const uint64_t counter = uint64_t(eid ? int64_t(eid[k]) : k) * uint64_t(args.heads);
    const uint64_t seed = *static_cast<const uint64_t*>(args.device_seed);
    const bool keep = hash24(seed, counter + uint64_t(h)) >= args.threshold;
    const A value = static_cast<A>(static_cast<const S*>(args.x)[n]) * A(args.scale);
    static_cast<S*>(args.out)[n] = static_cast<S>(keep ? value : A(0));
  }
};

}  // namespace

void dropout(const DropoutArgs& args, int64_t num_edges, const Where& where) {
  dispatch(args.dtype, args.wide, [&]<typename S, typename I>() {
    launch_threads<kThreads>(where, "dropout", num_edges * args.heads,
                             Dropout<S, I>{args, num_edges});
  });
}

}  // namespace gnnlib::cuda
