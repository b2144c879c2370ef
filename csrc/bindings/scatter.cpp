// Bindings of gather_rows, scatter and scatter_add_.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "spmm.h"

namespace gnnlib {

template <typename I>
static int64_t first_outside(const Tensor& index, int64_t rows) {
  const I* at = static_cast<const I*>(index.data_ptr());
  const int64_t n = index.numel();
  // Whichever end an index is beyond, one of two numbers has its highest bit: that takes no
  // comparison, which baseline vectors of 64 bits do not have.
  using U = std::make_unsigned_t<I>;
  const U last = U(std::min(rows - 1, int64_t(std::numeric_limits<I>::max())));
  U bad = 0;
  for (int64_t k = 0; k < n; ++k) bad |= U(at[k]) | (last - U(at[k]));
  if (!(bad >> (8 * sizeof(I) - 1))) return -1;
  for (int64_t k = 0; k < n; ++k) {
    if (at[k] < 0 || int64_t(at[k]) >= rows) return k;
  }
  return -1;
}

void check_rows(const char* op, const Tensor& index, int64_t rows) {
  if (!index.is_cpu()) return;
  const bool wide = index.scalar_type() == ScalarType::Long;
  const int64_t k =
      wide ? first_outside<int64_t>(index, rows) : first_outside<int32_t>(index, rows);
  if (k < 0) return;
  fail(op, ": index must be below ", rows, " and not negative: position ", k, " is ",
       wide ? static_cast<const int64_t*>(index.data_ptr())[k]
            : static_cast<const int32_t*>(index.data_ptr())[k]);
}

static void check_pair(const char* op, const Tensor& x, const Tensor& index) {
  check_index(op, "index", index);
  if (x.dim() < 1 || x.size(0) != index.numel()) {
    fail(op, ": x must have one row per index: index has ", index.numel(), ", x shape ",
         shape_of(x));
  }
}

Tensor gathered(const Tensor& x, const Tensor& index) {
  Tensor out = fresh(x, with_rows(x, index.numel()));
  RowsArgs args{};
  args.from = x.data_ptr();
  args.to = out.data_ptr();
  args.index = index.data_ptr();
  args.bytes = flat_rows(x).dim * int64_t(x.element_size());
  args.wide = index.scalar_type() == ScalarType::Long;
  device_of(x).gather(x, index.numel(), args);
  return out;
}

Tensor gather_rows(const Tensor& x_, const Tensor& index_) {
  check_index("gather_rows", "index", index_);
  if (x_.dim() < 1) fail("gather_rows: x must have rows, got a scalar");
  const Tensor x = dense(x_), index = dense(index_);
  check_rows("gather_rows", index, x.size(0));
  return gathered(x, index);
}

// The edges of each row, in the order of x.
static Sorted rows_of(const char* op, const Tensor& index, int64_t num_rows) {
  return sort_edges(op, "index", dense(index), nullptr, "num_rows", num_rows, index.is_cpu());
}

void scatter_add_(Tensor out, const Tensor& x_, const Tensor& index_) {
  const char* op = "scatter_add_";
  check_pair(op, x_, index_);
  const Tensor x = dense(x_), index = dense(index_);
  if (!out.is_contiguous()) fail(op, ": out must be contiguous");
  const Tensor to = dense(out);  // a copy where a GPU could not read it 16 bytes at a time
  check_floating(op, "x", x);
  if (out.scalar_type() != accumulate_type(x.scalar_type())) {
    fail(op, ": out must be float64 for float64 x and float32 for all others, got ",
         name_of(out.scalar_type()), " with x ", name_of(x.scalar_type()));
  }
  check_shape(op, "out", out, with_rows(x, -1));
  check_rows(op, index, out.size(0));
  ScatterAddArgs args{};
  args.index = index.data_ptr();
  args.x = x.data_ptr();
  args.out = to.data_ptr();
  args.num_edges = index.numel();
  args.dim = flat_rows(x).dim;
  args.dtype = dtype_of(op, "x", x);
  args.wide = index.scalar_type() == ScalarType::Long;
  device_of(x).scatter_add(to, index, args);
  if (to.data_ptr() == out.data_ptr()) return;
  torch::stable::copy_(out, to);
}

Tensor scatter(const Tensor& x, const Tensor& index, int64_t num_rows, Text reduce) {
  check_pair("scatter", x, index);
  check_num_rows("scatter", "num_rows", num_rows, index);
  if (const auto out = device_of(x).scatter(x, index, num_rows, reduce)) return *out;
  const auto [ptr, _, order] = rows_of("scatter", index, num_rows);
  return spmm(ptr, order, std::nullopt, std::nullopt, x, reduce, std::nullopt, std::nullopt);
}

std::tuple<Tensor, Tensor> scatter_arg(const Tensor& x, const Tensor& index, int64_t num_rows,
                                       Text reduce) {
  check_pair("scatter_arg", x, index);
  const auto [ptr, _, order] = rows_of("scatter_arg", index, num_rows);
  auto [out, arg] = spmm_arg(ptr, order, std::nullopt, std::nullopt, x, reduce);
  device_of(x).rename(arg, order);
  return {out, arg};
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(gather_rows);
  GNNLIB_OP(scatter);
  GNNLIB_OP(scatter_arg);
  GNNLIB_OP(scatter_add_);
}
