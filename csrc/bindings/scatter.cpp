// Bindings of gather_rows, scatter and scatter_add_.
#include "spmm.h"

namespace gnnlib {

template <typename I>
static int64_t first_outside(const Tensor& index, int64_t rows) {
  const I* at = static_cast<const I*>(index.data_ptr());
  const int64_t n = index.numel();
  bool good = true;
  for (int64_t k = 0; k < n; ++k) good &= at[k] >= 0 && int64_t(at[k]) < rows;
  for (int64_t k = 0; !good && k < n; ++k) {
    if (at[k] < 0 || int64_t(at[k]) >= rows) return k;
  }
  return -1;
}

// What lies on a GPU is checked once a tensor instead, by gnnlib/ops/_door.py: here it would have
// to be waited for.
static void check_range(const char* op, const Tensor& index, int64_t rows) {
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
  check_range("gather_rows", index, x.size(0));
  return gathered(x, index);
}

// The edges of each row, in the order of x.
static Sorted rows_of(const char* op, const Tensor& x, const Tensor& index, int64_t num_rows) {
  check_pair(op, x, index);
  return sort_edges(op, "index", dense(index), nullptr, "num_rows", num_rows, index.is_cpu());
}

// Rows of at most so many values are added one by one: to sort the index, or to divide the rows
// among the threads, takes longer than that.
constexpr int64_t kNarrow = 4;

static void add_rows(const char* op, const Tensor& out, const Tensor& x_, const Tensor& index_) {
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
  check_range(op, index, out.size(0));
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
  Tensor given = out;
  torch::stable::copy_(given, to);
}

void scatter_add_(Tensor out, const Tensor& x, const Tensor& index) {
  add_rows("scatter_add_", out, x, index);
}

template <typename S, typename I>
static void share_rows(const Tensor& out, const Tensor& index) {
  std::vector<int64_t> counts(out.size(0));
  const I* at = static_cast<const I*>(index.data_ptr());
  for (int64_t k = 0; k < index.numel(); ++k) ++counts[at[k]];
  S* to = static_cast<S*>(out.data_ptr());
  const int64_t values = flat_rows(out).dim;
  for (int64_t i = 0; i < out.size(0); ++i) {
    if (counts[i] < 2) continue;
    const S share = S(1) / S(counts[i]);
    for (int64_t d = 0; d < values; ++d) to[i * values + d] *= share;
  }
}

// The same sums and means, to the bit, as those of the sorted index.
static Tensor scatter_narrow(const char* op, const Tensor& x, const Tensor& index, int64_t num_rows,
                             bool mean) {
  check_num_rows(op, "num_rows", num_rows, index);
  Tensor out = torch::stable::new_zeros(x, with_rows(x, num_rows));
  add_rows(op, out, x, index);
  if (!mean) return out;
  const Tensor at = dense(index);
  const bool wide = at.scalar_type() == ScalarType::Long;
  if (x.scalar_type() == ScalarType::Double) {
    wide ? share_rows<double, int64_t>(out, at) : share_rows<double, int32_t>(out, at);
  } else {
    wide ? share_rows<float, int64_t>(out, at) : share_rows<float, int32_t>(out, at);
  }
  return out;
}

Tensor scatter(const Tensor& x, const Tensor& index, int64_t num_rows, Text reduce) {
  const bool adds_itself = x.is_cpu() && x.dim() > 0 && is_floating(x.scalar_type()) &&
                           x.scalar_type() == accumulate_type(x.scalar_type());
  if (adds_itself && (reduce == "sum" || reduce == "mean") && flat_rows(x).dim <= kNarrow)
    return scatter_narrow("scatter", x, index, num_rows, reduce == "mean");
  const auto [ptr, _, order] = rows_of("scatter", x, index, num_rows);
  return spmm(ptr, order, std::nullopt, std::nullopt, x, reduce, std::nullopt, std::nullopt);
}

std::tuple<Tensor, Tensor> scatter_arg(const Tensor& x, const Tensor& index, int64_t num_rows,
                                       Text reduce) {
  const auto [ptr, _, order] = rows_of("scatter_arg", x, index, num_rows);
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
