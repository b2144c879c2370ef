// Gather rows by an index, and add rows in place where an index says.
#include "scatter.h"

#include "reduce.h"

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

// Rows of S, added up in A.
template <typename S, typename I, int N>
struct WideRow {
  AddRowsArgs args;

  GNNLIB_DEVICE void operator()(int64_t, int64_t k, int64_t at,
                                Values<Accumulate<S>, N>& value) const {
    Values<S, N> row;
    row.load(static_cast<const S*>(args.x) +
             int64_t(static_cast<const I*>(args.csr.col)[k]) * args.dim + at);
    for (int n = 0; n < N; ++n) value.value[n] = row.value[n];
  }
};

}  // namespace

void gather(const RowsArgs& args, int64_t num_rows, const Where& where) {
  if (args.bytes == 0) return;
  with_unit(args.bytes, [&]<typename Unit>() {
    const int64_t units = args.bytes / int64_t(sizeof(Unit));
    with_index(args.wide, [&]<typename I>() {
      launch_threads<kThreads>(where, "gather_rows", num_rows * units,
                               Gather<Unit, I>{args, num_rows, units});
    });
  });
}

void add_rows(const AddRowsArgs& args, int64_t num_rows, int64_t num_edges,
              const Partials& partials, const Where& where) {
  const Result result{args.out, nullptr,  nullptr, args.out, args.dim,
                      args.dim, args.dim, 1,       1,        Reduce::sum};
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<Accumulate<S>, I>("scatter_add_", result, args.csr.ptr, num_rows, num_edges,
                                  partials, where, [&]<int N>() { return WideRow<S, I, N>{args}; });
  });
}

}  // namespace gnnlib::cuda
