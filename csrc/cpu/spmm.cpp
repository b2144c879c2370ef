// Bindings of spmm and of the gradients of its max and min.
#include "../text.h"
#include "bind.h"

namespace gnnlib::cpu {

static Reduce reduce_of(const std::string& name) {
  if (name == "sum") return Reduce::sum;
  if (name == "mean") return Reduce::mean;
  if (name == "mul") return Reduce::mul;
  if (name == "max") return Reduce::max;
  if (name == "min") return Reduce::min;
  fail("spmm: reduce must be sum, mean, mul, max or min, got '", name, "'");
}

// Heads only matter where weights differ between them: all else is one head of H · D features.
static RowShape weighted_rows(const char* op, const OptionalTensor& weight, const Tensor& x,
                              int64_t num_edges) {
  if (!weight || weight->dim() == 1) {
    if (weight) check_shape(op, "weight", *weight, {num_edges});
    return flat_rows(x);
  }
  if (x.dim() != 3) {
    fail(op, ": weight of shape ", shape_of(*weight), " needs x of shape (num_src, H, D), got ",
         shape_of(x));
  }
  check_shape(op, "weight", *weight, {num_edges, x.size(1)});
  return {x.size(1), x.size(2)};
}

static SpmmArgs prepare(const char* op, const BoundCsr& csr, const OptionalTensor& weight,
                        const Tensor& x) {
  if (x.dim() < 1) fail(op, ": x must have rows, got a scalar");
  const Dtype dtype = dtype_of(op, "x", x);
  // Without col and eid, position k reads row k and weight k: then x has the edges.
  const int64_t num_edges = csr.num_edges < 0 ? x.size(0) : csr.num_edges;
  csr.check_edges(op, num_edges);
  check_wide(op, "num_src", x.size(0), csr.wide);
  if (weight) check_same_dtype(op, "weight", *weight, "x", x.scalar_type());
  const RowShape shape = weighted_rows(op, weight, x, num_edges);
  SpmmArgs args{};
  args.csr = csr.view();
  args.weight = pointer(weight);
  args.x = x.data_ptr();
  args.heads = shape.heads;
  args.dim = shape.dim;
  args.dtype = dtype;
  return args;
}

static int64_t work_of(const BoundCsr& csr, const SpmmArgs& args) {
  return (csr.at(csr.num_rows) + csr.num_rows) * args.heads * args.dim;
}

static void check_scale(const char* name, const OptionalTensor& scale, int64_t rows,
                        const Tensor& x) {
  if (!scale) return;
  check_shape("spmm", name, *scale, {rows});
  if (scale->scalar_type() != accumulate_type(x.scalar_type())) {
    fail("spmm: ", name, " must be float64 for float64 x and float32 for all others, got ",
         name_of(scale->scalar_type()), " with x ", name_of(x.scalar_type()));
  }
}

Tensor spmm(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
            const OptionalTensor& weight_, const Tensor& x_, Text reduce,
            const OptionalTensor& row_scale_, const OptionalTensor& col_scale_) {
  const BoundCsr csr("spmm", ptr, col, eid);
  const Tensor x = dense(x_);
  const OptionalTensor weight = dense(weight_);
  const OptionalTensor row_scale = dense(row_scale_), col_scale = dense(col_scale_);
  SpmmArgs args = prepare("spmm", csr, weight, x);
  check_scale("row_scale", row_scale, csr.num_rows, x);
  check_scale("col_scale", col_scale, x.size(0), x);
  args.reduce = reduce_of(reduce);
  if (args.reduce == Reduce::max || args.reduce == Reduce::min)
    fail("spmm: use spmm_arg for ", reduce);
  args.row_scale = pointer(row_scale);
  args.col_scale = pointer(col_scale);
  Tensor out = new_output(x, with_rows(x, csr.num_rows));
  args.out = out.data_ptr();
  parallel_rows(csr, work_of(csr, args),
                [&](int64_t first, int64_t last) { kernels().spmm(args, first, last); });
  return out;
}

std::tuple<Tensor, Tensor> spmm_arg(const Tensor& ptr, const OptionalTensor& col,
                                    const OptionalTensor& eid, const OptionalTensor& weight_,
                                    const Tensor& x_, Text reduce) {
  const BoundCsr csr("spmm_arg", ptr, col, eid);
  const Tensor x = dense(x_);
  const OptionalTensor weight = dense(weight_);
  SpmmArgs args = prepare("spmm_arg", csr, weight, x);
  args.reduce = reduce_of(reduce);
  if (args.reduce != Reduce::max && args.reduce != Reduce::min)
    fail("spmm_arg: use spmm for ", reduce);
  const auto sizes = with_rows(x, csr.num_rows);
  Tensor out = new_output(x, sizes), arg = new_output(x, sizes, ptr.scalar_type());
  args.out = out.data_ptr();
  args.arg = arg.data_ptr();
  parallel_rows(csr, work_of(csr, args),
                [&](int64_t first, int64_t last) { kernels().spmm(args, first, last); });
  return {out, arg};
}

Tensor spmm_arg_backward(const Tensor& t_ptr, const Tensor& t_row, const Tensor& t_pos,
                         const OptionalTensor& t_eid, const OptionalTensor& weight_,
                         const Tensor& grad_, const Tensor& arg_) {
  const char* op = "spmm_arg_backward";
  const BoundCsr csr(op, t_ptr, t_row, t_eid);
  csr.check_edges(op, csr.num_edges);
  const Tensor grad = dense(grad_), arg = dense(arg_), pos = dense(t_pos);
  const OptionalTensor weight = dense(weight_);
  check_shape(op, "t_pos", pos, {csr.num_edges});
  check_same_dtype(op, "t_pos", pos, "t_ptr", t_ptr.scalar_type());
  check_same_dtype(op, "arg", arg, "t_ptr", t_ptr.scalar_type());
  check_shape(op, "arg", arg, with_rows(grad, grad.size(0)));
  if (weight) check_same_dtype(op, "weight", *weight, "grad", grad.scalar_type());
  ArgBackwardArgs args{};
  args.csr = csr.view();
  args.dtype = dtype_of(op, "grad", grad);
  const RowShape shape = weighted_rows(op, weight, grad, csr.num_edges);
  args.heads = shape.heads;
  args.dim = shape.dim;
  args.pos = pos.data_ptr();
  args.weight = pointer(weight);
  args.grad = grad.data_ptr();
  args.arg = arg.data_ptr();
  Tensor out = new_output(grad, with_rows(grad, csr.num_rows));
  args.out = out.data_ptr();
  const int64_t work = (csr.num_edges + csr.num_rows) * args.heads * args.dim;
  parallel_rows(csr, work,
                [&](int64_t first, int64_t last) { kernels().arg_backward(args, first, last); });
  return out;
}

Tensor spmm_arg_weight(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
                       const Tensor& grad_, const Tensor& x_, const Tensor& arg_,
                       int64_t num_edges) {
  const char* op = "spmm_arg_weight";
  const BoundCsr csr(op, ptr, col, eid);
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
  Tensor out = new_output(grad, sizes);
  args.out = out.data_ptr();
  parallel_rows(csr, num_edges * args.heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().arg_weight(args, first, last); });
  return out;
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("spmm", TORCH_BOX(&gnnlib::cpu::spmm));
  m.impl("spmm_arg", TORCH_BOX(&gnnlib::cpu::spmm_arg));
  m.impl("spmm_arg_backward", TORCH_BOX(&gnnlib::cpu::spmm_arg_backward));
  m.impl("spmm_arg_weight", TORCH_BOX(&gnnlib::cpu::spmm_arg_weight));
}
