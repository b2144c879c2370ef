// Bindings of spmm and of the gradients of its max and min.
#include "spmm.h"

namespace gnnlib {

static Reduce reduce_of(const std::string& name) {
  if (name == "sum") return Reduce::sum;
  if (name == "mean") return Reduce::mean;
  if (name == "mul") return Reduce::mul;
  if (name == "max") return Reduce::max;
  if (name == "min") return Reduce::min;
  fail("spmm: reduce must be sum, mean, mul, max or min, got '", name, "'");
}

static bool selects(Reduce reduce) { return reduce == Reduce::max || reduce == Reduce::min; }

// How the weights divide a row of x: heads of dim values each. Heads only matter where weights
// differ between them: all else is one head of all the values.
struct WeightedRows {
  Weights weights;
  int64_t heads, dim;
};

static WeightedRows weighted_rows(const char* op, const OptionalTensor& weight, const Tensor& x,
                                  int64_t num_edges) {
  const int64_t values = flat_rows(x).dim;
  if (!weight) return {Weights::none, 1, values};
  check_same_dtype(op, "weight", *weight, "x", x.scalar_type());
  if (weight->dim() == 1) {
    check_shape(op, "weight", *weight, {num_edges});
    return {Weights::edge, 1, values};
  }
  if (weight->dim() == x.dim()) {
    check_shape(op, "weight", *weight, with_rows(x, num_edges));
    return {Weights::feature, 1, values};
  }
  if (weight->dim() != 2 || x.dim() != 3) {
    fail(op, ": weight must be [E], [E, H] with x [num_src, H, D], or have the features of x; got ",
         shape_of(*weight), " with x of shape ", shape_of(x));
  }
  check_shape(op, "weight", *weight, {num_edges, x.size(1)});
  return {Weights::head, x.size(1), x.size(2)};
}

SpmmArgs spmm_args(const char* op, BoundCsr& csr, OptionalTensor& weight, const Tensor& x) {
  if (x.dim() < 1) fail(op, ": x must have rows, got a scalar");
  SpmmArgs args{};
  args.dtype = dtype_of(op, "x", x);
  // Without col and eid, position k reads row k and weight k: then x has the edges.
  const int64_t num_edges = csr.num_edges < 0 ? x.size(0) : csr.num_edges;
  csr.check_edges(op, num_edges);
  check_wide(op, "num_src", x.size(0), csr.wide);
  const WeightedRows rows = weighted_rows(op, weight, x, num_edges);
  args.csr = csr.view();
  args.weights = rows.weights;
  args.x = x.data_ptr();
  args.heads = rows.heads;
  args.dim = rows.dim;
  args.x_stride = args.out_stride = rows.heads * rows.dim;
  args.factor = 1;
  device_of(x).prepare(csr, weight, x, args);
  args.weight = pointer(weight);
  return args;
}

void check_scale(const char* op, const char* name, const OptionalTensor& scale, int64_t rows,
                 const Tensor& x) {
  if (!scale) return;
  check_shape(op, name, *scale, {rows});
  if (scale->scalar_type() != accumulate_type(x.scalar_type())) {
    fail(op, ": ", name, " must be float64 for float64 x and float32 for all others, got ",
         name_of(scale->scalar_type()), " with x ", name_of(x.scalar_type()));
  }
}

Tensor spmm(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
            const OptionalTensor& weight_, const Tensor& x_, Text reduce,
            const OptionalTensor& row_scale_, const OptionalTensor& col_scale_) {
  BoundCsr csr("spmm", ptr, col, eid);
  const Tensor x = dense(x_);
  OptionalTensor weight = dense(weight_);
  const OptionalTensor row_scale = dense(row_scale_), col_scale = dense(col_scale_);
  SpmmArgs args = spmm_args("spmm", csr, weight, x);
  check_scale("spmm", "row_scale", row_scale, csr.num_rows, x);
  check_scale("spmm", "col_scale", col_scale, x.size(0), x);
  args.reduce = reduce_of(reduce);
  if (selects(args.reduce) && (row_scale || col_scale))
    fail("spmm: row_scale and col_scale must be None for ", reduce);
  args.row_scale = pointer(row_scale);
  args.col_scale = pointer(col_scale);
  Tensor out = fresh(x, with_rows(x, csr.num_rows));
  args.out = out.data_ptr();
  device_of(x).spmm(csr, args);
  return out;
}

std::tuple<Tensor, Tensor> spmm_arg(const Tensor& ptr, const OptionalTensor& col,
                                    const OptionalTensor& eid, const OptionalTensor& weight_,
                                    const Tensor& x_, Text reduce) {
  BoundCsr csr("spmm_arg", ptr, col, eid);
  const Tensor x = dense(x_);
  OptionalTensor weight = dense(weight_);
  SpmmArgs args = spmm_args("spmm_arg", csr, weight, x);
  args.reduce = reduce_of(reduce);
  if (!selects(args.reduce)) fail("spmm_arg: reduce must be max or min, got '", reduce, "'");
  const auto sizes = with_rows(x, csr.num_rows);
  Tensor out = fresh(x, sizes), arg = fresh(x, sizes, ptr.scalar_type());
  args.out = out.data_ptr();
  args.arg = arg.data_ptr();
  device_of(x).spmm(csr, args);
  return {out, arg};
}

Tensor spmm_arg_backward(const OptionalTensor& col_, const OptionalTensor& eid_,
                         const OptionalTensor& weight_, const Tensor& grad_, const Tensor& arg_,
                         int64_t num_src, const OptionalTensor& t_ptr, const OptionalTensor& t_row,
                         const OptionalTensor& t_pos) {
  const char* op = "spmm_arg_backward";
  const Tensor grad = dense(grad_), arg = dense(arg_);
  const OptionalTensor col = dense(col_), eid = dense(eid_), weight = dense(weight_);
  if (grad.dim() < 1) fail(op, ": grad must have rows, got a scalar");
  check_shape(op, "arg", arg, with_rows(grad, grad.size(0)));
  const auto index = arg.scalar_type();
  for (const auto* part : {&col, &eid}) {
    const char* name = part == &col ? "col" : "eid";
    if (!*part) continue;
    check_index(op, name, **part);
    check_same_dtype(op, name, **part, "arg", index);
  }
  ArgBackwardArgs args{};
  args.csr = {nullptr, pointer(col), pointer(eid), index == ScalarType::Long};
  args.dtype = dtype_of(op, "grad", grad);
  const WeightedRows rows = weighted_rows(op, weight, grad, weight ? weight->size(0) : 0);
  args.weights = rows.weights;
  args.heads = rows.heads;
  args.dim = rows.dim;
  args.num_rows = grad.size(0);
  args.weight = pointer(weight);
  args.grad = grad.data_ptr();
  args.arg = arg.data_ptr();
  Tensor out = fresh(grad, with_rows(grad, num_src));
  args.out = out.data_ptr();
  const int64_t num_edges = col ? col->numel() : num_src;
  if (!t_ptr || !t_row || !t_pos) {
    device_of(grad).arg_backward(args, num_edges, out, nullptr);
    return out;
  }
  Transpose back{BoundCsr(op, *t_ptr, t_row, t_pos), dense(*t_pos)};
  check_same_dtype(op, "t_ptr", back.csr.ptr, "arg", index);
  check_shape(op, "t_ptr", back.csr.ptr, {num_src + 1});
  back.csr.check_edges(op, back.csr.num_edges);
  device_of(grad).arg_backward(args, num_edges, out, &back);
  return out;
}

Tensor spmm_arg_weight(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
                       const Tensor& grad_, const Tensor& x_, const Tensor& arg_,
                       int64_t num_edges) {
  const char* op = "spmm_arg_weight";
  BoundCsr csr(op, ptr, col, eid);
  csr.check_edges(op, num_edges);
  const Tensor grad = dense(grad_), x = dense(x_), arg = dense(arg_);
  if (grad.dim() != 2 && grad.dim() != 3)
    fail(op, ": grad must have 2 or 3 dimensions, got ", shape_of(grad));
  check_shape(op, "grad", grad, with_rows(grad, csr.num_rows));
  check_shape(op, "x", x, with_rows(grad, csr.col ? -1 : num_edges));
  check_shape(op, "arg", arg, with_rows(grad, csr.num_rows));
  check_same_dtype(op, "x", x, "grad", grad.scalar_type());
  check_same_dtype(op, "arg", arg, "ptr", ptr.scalar_type());
  ArgWeightArgs args{};
  args.csr = csr.view();
  args.dtype = dtype_of(op, "grad", grad);
  args.heads = grad.dim() == 3 ? grad.size(1) : 1;
  args.dim = grad.size(grad.dim() - 1);
  args.grad = grad.data_ptr();
  args.x = x.data_ptr();
  args.arg = arg.data_ptr();
  std::vector<int64_t> sizes{num_edges};
  if (grad.dim() == 3) sizes.push_back(args.heads);
  Tensor out = fresh(grad, sizes);
  args.out = out.data_ptr();
  device_of(grad).arg_weight(csr, args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(spmm);
  GNNLIB_OP(spmm_arg);
  GNNLIB_OP(spmm_arg_backward);
  GNNLIB_OP(spmm_arg_weight);
}
