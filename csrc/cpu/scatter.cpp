// scatter of narrow rows on the CPU, one by one.
#include "device.h"

namespace gnnlib::cpu {

// Rows of at most so many values: to sort the index, or to divide the rows among the threads, takes
// longer than that.
constexpr int64_t kNarrow = 4;

template <typename S, typename I>
static void multiply(const Tensor& out, const Tensor& x, const Tensor& index) {
  const I* at = static_cast<const I*>(index.data_ptr());
  const S* from = static_cast<const S*>(x.data_ptr());
  S* to = static_cast<S*>(out.data_ptr());
  const int64_t values = flat_rows(x).dim, num_edges = index.numel();
  if (values == 1) {
    for (int64_t k = 0; k < num_edges; ++k) to[at[k]] *= from[k];
    return;
  }
  for (int64_t k = 0; k < num_edges; ++k) {
    for (int64_t d = 0; d < values; ++d) to[at[k] * values + d] *= from[k * values + d];
  }
}

// Sums become means.
template <typename S, typename I>
static void share(const Tensor& out, const Tensor& index) {
  const int64_t values = flat_rows(out).dim, rows = out.size(0), num_edges = index.numel();
  std::vector<int64_t> counts(rows);
  const I* at = static_cast<const I*>(index.data_ptr());
  for (int64_t k = 0; k < num_edges; ++k) ++counts[at[k]];
  S* to = static_cast<S*>(out.data_ptr());
  for (int64_t i = 0; i < rows; ++i) {
    if (counts[i] < 2) continue;
    const S part = S(1) / S(counts[i]);
    for (int64_t d = 0; d < values; ++d) to[i * values + d] *= part;
  }
}

std::optional<Tensor> Cpu::scatter(const Tensor& x_, const Tensor& index_, int64_t num_rows,
                                   Text reduce) const {
  const bool known = reduce == "sum" || reduce == "mean" || reduce == "mul";
  const ScalarType type = x_.scalar_type();
  const bool full = type == ScalarType::Float || type == ScalarType::Double;
  if (!known || !full || flat_rows(x_).dim > kNarrow) return std::nullopt;
  const Tensor x = dense(x_), index = dense(index_);
  check_rows("scatter", index, num_rows);
  const auto sizes = with_rows(x, num_rows);
  Tensor out =
      reduce == "mul" ? torch::stable::new_empty(x, sizes) : torch::stable::new_zeros(x, sizes);
  const bool wide = index.scalar_type() == ScalarType::Long;
  auto typed = [&](const auto& f) {
    if (type == ScalarType::Double) {
      wide ? f.template operator()<double, int64_t>() : f.template operator()<double, int32_t>();
    } else {
      wide ? f.template operator()<float, int64_t>() : f.template operator()<float, int32_t>();
    }
  };
  if (reduce == "mul") {
    torch::stable::fill_(out, 1);
    typed([&]<typename S, typename I>() { multiply<S, I>(out, x, index); });
    return out;
  }
  ScatterAddArgs args{};
  args.index = index.data_ptr();
  args.x = x.data_ptr();
  args.out = out.data_ptr();
  args.num_edges = index.numel();
  args.dim = flat_rows(x).dim;
  args.dtype = dtype_of("scatter", "x", x);
  args.wide = wide;
  scatter_add(out, index, args);
  if (reduce == "mean") typed([&]<typename S, typename I>() { share<S, I>(out, index); });
  return out;
}

}  // namespace gnnlib::cpu
