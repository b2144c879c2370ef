// Bindings of spmm_add and of the gradients behind its relu.
#include "../device.h"
#include "../text.h"

namespace gnnlib {

// The arguments made contiguous, kept alive, and as the kernels see them.
struct BoundAdd {
  BoundCsr csr;
  OptionalTensor x, y, edge, grad;
  SpmmAddArgs args{};

  // `rows`: any tensor with the features that all others must have.
  BoundAdd(const char* op, const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
           const OptionalTensor& x_, const OptionalTensor& y_, const OptionalTensor& edge_,
           double alpha, const char* name, const Tensor& rows)
      : csr(op, ptr, col, eid), x(dense(x_)), y(dense(y_)), edge(dense(edge_)) {
    csr.check_edges(op, csr.num_edges);
    if (rows.dim() < 1) fail(op, ": ", name, " must have rows, got a scalar");
    args.dtype = dtype_of(op, name, rows);
    check(op, "x", x, name, rows, -1);
    check(op, "y", y, name, rows, csr.num_rows);
    if (edge && edge->dim() == 1) {
      check_same_dtype(op, "edge", *edge, name, rows.scalar_type());
      check_shape(op, "edge", *edge, {csr.num_edges});
    } else {
      check(op, "edge", edge, name, rows, csr.num_edges);
    }
    args.csr = csr.view();
    args.x = pointer(x);
    args.y = pointer(y);
    args.edge = pointer(edge);
    args.edge_is_number = edge && edge->dim() == 1;
    args.dim = flat_rows(rows).dim;
    args.alpha = alpha;
  }

  static void check(const char* op, const char* what, const OptionalTensor& tensor,
                    const char* name, const Tensor& rows, int64_t count) {
    if (!tensor) return;
    check_same_dtype(op, what, *tensor, name, rows.scalar_type());
    check_shape(op, what, *tensor, with_rows(rows, count));
  }
};

static Reduce add_reduce_of(const char* op, const std::string& name, bool selects) {
  if (!selects && name == "sum") return Reduce::sum;
  if (!selects && name == "mean") return Reduce::mean;
  if (selects && name == "max") return Reduce::max;
  if (selects && name == "min") return Reduce::min;
  fail(op, ": reduce must be ", selects ? "max or min" : "sum or mean", ", got '", name, "'");
}

Tensor spmm_add(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid, const Tensor& x,
                const OptionalTensor& y, const OptionalTensor& edge, double alpha, bool relu,
                Text reduce) {
  BoundAdd bound("spmm_add", ptr, col, eid, x, y, edge, alpha, "x", x);
  bound.args.reduce = add_reduce_of("spmm_add", reduce, false);
  bound.args.relu = relu;
  Tensor out = fresh(x, with_rows(x, bound.csr.num_rows));
  bound.args.out = out.data_ptr();
  device_of(x).spmm_add(bound.csr, bound.args);
  return out;
}

std::tuple<Tensor, Tensor> spmm_add_arg(const Tensor& ptr, const Tensor& col,
                                        const OptionalTensor& eid, const Tensor& x,
                                        const Tensor& edge, double alpha, Text reduce) {
  BoundAdd bound("spmm_add_arg", ptr, col, eid, x, {}, edge, alpha, "x", x);
  bound.args.reduce = add_reduce_of("spmm_add_arg", reduce, true);
  const auto sizes = with_rows(x, bound.csr.num_rows);
  Tensor out = fresh(x, sizes), arg = fresh(x, sizes, ptr.scalar_type());
  bound.args.out = out.data_ptr();
  bound.args.arg = arg.data_ptr();
  device_of(x).spmm_add(bound.csr, bound.args);
  return {out, arg};
}

Tensor spmm_add_gate(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                     const OptionalTensor& x, const OptionalTensor& y, const OptionalTensor& edge,
                     double alpha, const Tensor& grad_, bool grad_is_own) {
  const char* op = "spmm_add_gate";
  const Tensor grad = dense(grad_);
  BoundAdd bound(op, ptr, col, eid, x, y, edge, alpha, "grad", grad);
  if (grad_is_own) check_shape(op, "grad", grad, with_rows(grad, bound.csr.num_rows));
  bound.args.grad = grad.data_ptr();
  bound.args.grad_is_own = grad_is_own;
  Tensor out = fresh(grad, with_rows(grad, bound.csr.num_rows));
  bound.args.out = out.data_ptr();
  device_of(grad).spmm_add_gate(bound.csr, bound.args);
  return out;
}

Tensor spmm_add_edge(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                     const Tensor& x, const OptionalTensor& y, const Tensor& edge, double alpha,
                     const Tensor& grad_) {
  const char* op = "spmm_add_edge";
  const Tensor grad = dense(grad_);
  BoundAdd bound(op, ptr, col, eid, x, y, edge, alpha, "x", x);
  check_same_dtype(op, "grad", grad, "x", x.scalar_type());
  check_shape(op, "grad", grad, with_rows(x, bound.csr.num_rows));
  bound.args.grad = grad.data_ptr();
  std::vector<int64_t> sizes;
  for (int64_t d = 0; d < edge.dim(); ++d) sizes.push_back(edge.size(d));
  Tensor out = fresh(edge, sizes);
  bound.args.out = out.data_ptr();
  device_of(x).spmm_add_edge(bound.csr, bound.args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(spmm_add);
  GNNLIB_OP(spmm_add_arg);
  GNNLIB_OP(spmm_add_gate);
  GNNLIB_OP(spmm_add_edge);
}
