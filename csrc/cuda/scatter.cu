// Gather rows by an index, and add rows in place where an index says.
#include "scatter.h"

#include "launch.h"
#include "numbers.h"

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;

// Rows of whole units: a thread for each unit of the result.
template <typename Unit, typename I>
struct Gather {
  RowsArgs args;
  int64_t num_rows, units;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n >= num_rows * units) return;
    const int64_t from = static_cast<const I*>(args.index)[n / units];
    static_cast<Unit*>(args.to)[n] = static_cast<const Unit*>(args.from)[from * units + n % units];
  }
};

}  // namespace

void gather(const RowsArgs& args, int64_t num_rows, const Where& where) {
  if (args.bytes == 0) return;
  with_unit(args.bytes, [&]<typename Unit>() {
    const int64_t units = args.bytes / int64_t(sizeof(Unit));
    const int64_t blocks = blocks_for(num_rows * units, 1, kThreads);
    if (args.wide) {
      launch<kThreads>(where, "gather_rows", blocks, 0, Gather<Unit, int64_t>{args, num_rows, units});
    } else {
      launch<kThreads>(where, "gather_rows", blocks, 0, Gather<Unit, int32_t>{args, num_rows, units});
    }
  });
}

}  // namespace gnnlib::cuda
