// Bindings of spmm_multi and its gradient.
#include "../device.h"
#include "../text.h"

namespace gnnlib {

// Which slot of the result each statistic fills, from "sum,max,…"; −1: none.
static void read_reduces(const char* op, const std::string& names, MultiArgs& args) {
  args.sum_slot = args.mean_slot = args.max_slot = args.min_slot = args.std_slot = -1;
  size_t start = 0;
  while (start <= names.size()) {
    const size_t comma = std::min(names.find(',', start), names.size());
    const std::string name = names.substr(start, comma - start);
    int64_t* slot = name == "sum"    ? &args.sum_slot
                    : name == "mean" ? &args.mean_slot
                    : name == "max"  ? &args.max_slot
                    : name == "min"  ? &args.min_slot
                    : name == "std"  ? &args.std_slot
                                     : nullptr;
    if (!slot) fail(op, ": reduces must name sum, mean, max, min or std, got '", name, "'");
    if (*slot >= 0) fail(op, ": reduces must name each reduction once, got '", names, "'");
    *slot = args.slots++;
    start = comma + 1;
  }
}

std::tuple<Tensor, Tensor, Tensor, Tensor> spmm_multi(const Tensor& ptr, const OptionalTensor& col,
                                                      const Tensor& x_, Text reduces) {
  const char* op = "spmm_multi";
  BoundCsr csr(op, ptr, col, std::nullopt);
  const Tensor x = dense(x_);
  if (x.dim() != 2) fail(op, ": x must be [num_src, F], got shape ", shape_of(x));
  csr.check_edges(op, csr.num_edges < 0 ? x.size(0) : csr.num_edges);
  MultiArgs args{};
  args.csr = csr.view();
  args.dtype = dtype_of(op, "x", x);
  read_reduces(op, reduces, args);
  args.dim = x.size(1);
  args.x = x.data_ptr();
  const int64_t rows = csr.num_rows;
  Tensor out = fresh(x, {rows, args.slots, args.dim});
  const auto sized = [&](bool wanted) { return std::vector<int64_t>{wanted ? rows : 0, args.dim}; };
  Tensor mean = fresh(x, sized(args.std_slot >= 0), accumulate_type(x.scalar_type()));
  Tensor arg_max = fresh(x, sized(args.max_slot >= 0), ptr.scalar_type());
  Tensor arg_min = fresh(x, sized(args.min_slot >= 0), ptr.scalar_type());
  args.out = out.data_ptr();
  args.mean = mean.data_ptr();
  args.arg_max = args.max_slot >= 0 ? arg_max.data_ptr() : nullptr;
  args.arg_min = args.min_slot >= 0 ? arg_min.data_ptr() : nullptr;
  device_of(x).multi(csr, args);
  return {out, mean, arg_max, arg_min};
}

Tensor spmm_multi_backward(const Tensor& t_ptr, const Tensor& t_row, const Tensor& x_,
                           const Tensor& even_, const Tensor& spread_, const Tensor& mean_) {
  const char* op = "spmm_multi_backward";
  BoundCsr csr(op, t_ptr, t_row, std::nullopt);
  csr.check_edges(op, csr.num_edges);
  const Tensor x = dense(x_), even = dense(even_), spread = dense(spread_), mean = dense(mean_);
  if (x.dim() != 2) fail(op, ": x must be [num_src, F], got shape ", shape_of(x));
  check_shape(op, "x", x, {csr.num_rows, -1});
  for (const auto& [name, t] : {std::pair("even", &even), {"spread", &spread}, {"mean", &mean}}) {
    check_shape(op, name, *t, {even.size(0), x.size(1)});
    if (t->scalar_type() != accumulate_type(x.scalar_type())) {
      fail(op, ": ", name, " must be float64 for float64 x and float32 for all others, got ",
           name_of(t->scalar_type()));
    }
  }
  MultiArgs args{};
  args.csr = csr.view();
  args.dtype = dtype_of(op, "x", x);
  args.dim = x.size(1);
  args.x = x.data_ptr();
  args.even = even.data_ptr();
  args.spread = spread.data_ptr();
  args.mean = mean.data_ptr();
  Tensor out = fresh(x, with_rows(x, csr.num_rows));
  args.out = out.data_ptr();
  device_of(x).multi_backward(csr, args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(spmm_multi);
  GNNLIB_OP(spmm_multi_backward);
}
