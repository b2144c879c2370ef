// Bindings of segment_expand, segment_softmax and its gradient.
#include "../device.h"

namespace gnnlib {

Tensor segment_expand(const Tensor& ptr, const OptionalTensor& eid, const Tensor& x_,
                      int64_t num_edges) {
  BoundCsr csr("segment_expand", ptr, std::nullopt, eid);
  if (eid && eid->numel() != num_edges) {
    fail("segment_expand: eid must have num_edges=", num_edges, " entries, got ", eid->numel());
  }
  csr.check_edges("segment_expand", num_edges);
  const Tensor x = dense(x_);
  if (x.dim() < 1) fail("segment_expand: x must have rows, got a scalar");
  check_shape("segment_expand", "x", x, with_rows(x, csr.num_rows));
  Tensor out = fresh(x, with_rows(x, num_edges));
  RowsArgs args{};
  args.from = x.data_ptr();
  args.to = out.data_ptr();
  args.bytes = flat_rows(x).dim * int64_t(x.element_size());
  device_of(x).expand(csr, args);
  return out;
}

static SoftmaxArgs prepare(const char* op, BoundCsr& csr, const Tensor& scores) {
  if (scores.dim() < 1) fail(op, ": scores must be [E] or [E, H], got a scalar");
  if (csr.eid && csr.num_edges != scores.size(0)) {
    fail(op, ": scores must have one row per edge: eid has ", csr.num_edges, ", scores shape ",
         shape_of(scores));
  }
  csr.check_edges(op, scores.size(0));
  SoftmaxArgs args{};
  args.csr = csr.view();
  args.scores = scores.data_ptr();
  args.heads = flat_rows(scores).dim;
  args.dtype = dtype_of(op, "scores", scores);
  return args;
}

Tensor segment_softmax(const Tensor& ptr, const OptionalTensor& eid, const Tensor& scores_) {
  BoundCsr csr("segment_softmax", ptr, std::nullopt, eid);
  const Tensor scores = dense(scores_);
  SoftmaxArgs args = prepare("segment_softmax", csr, scores);
  Tensor out = fresh(scores, with_rows(scores, scores.size(0)));
  args.out = out.data_ptr();
  device_of(scores).softmax(csr, args);
  return out;
}

Tensor segment_softmax_backward(const Tensor& ptr, const OptionalTensor& eid, const Tensor& value_,
                                const Tensor& grad_) {
  const char* op = "segment_softmax_backward";
  BoundCsr csr(op, ptr, std::nullopt, eid);
  const Tensor value = dense(value_), grad = dense(grad_);
  SoftmaxArgs args = prepare(op, csr, value);
  check_same_dtype(op, "grad", grad, "out", value.scalar_type());
  check_shape(op, "grad", grad, with_rows(value, value.size(0)));
  Tensor out = fresh(value, with_rows(value, value.size(0)));
  args.grad = grad.data_ptr();
  args.out = out.data_ptr();
  device_of(value).softmax_backward(csr, args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(segment_expand);
  GNNLIB_OP(segment_softmax);
  GNNLIB_OP(segment_softmax_backward);
}
