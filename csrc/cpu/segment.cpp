// Bindings of segment_expand, segment_softmax and its gradient.
#include "bind.h"

namespace gnnlib::cpu {

Tensor segment_expand(const Tensor& ptr, const OptionalTensor& eid, const Tensor& x_,
                      int64_t num_edges) {
  const BoundCsr csr("segment_expand", ptr, std::nullopt, eid);
  csr.check_edges("segment_expand", num_edges);
  if (eid && eid->numel() != num_edges) {
    fail("segment_expand: eid must have num_edges=", num_edges, " entries, got ", eid->numel());
  }
  const Tensor x = dense(x_);
  if (x.dim() < 1) fail("segment_expand: x must have rows, got a scalar");
  check_shape("segment_expand", "x", x, with_rows(x, csr.num_rows));
  Tensor out = new_output(x, with_rows(x, num_edges));
  const int64_t values = flat_rows(x).dim;
  RowsArgs args{};
  args.from = x.data_ptr();
  args.to = out.data_ptr();
  args.bytes = values * int64_t(x.element_size());
  parallel_rows(csr, num_edges * values, [&](int64_t first, int64_t last) {
    kernels().expand(csr.view(), args, first, last);
  });
  return out;
}

static SoftmaxArgs prepare(const char* op, const BoundCsr& csr, const Tensor& scores) {
  if (scores.dim() < 1) fail(op, ": scores must be [E] or [E, H], got a scalar");
  csr.check_edges(op, scores.size(0));
  if (csr.eid && csr.num_edges != scores.size(0)) {
    fail(op, ": scores must have one row per edge: eid has ", csr.num_edges, ", scores shape ",
         shape_of(scores));
  }
  SoftmaxArgs args{};
  args.csr = csr.view();
  args.scores = scores.data_ptr();
  args.heads = flat_rows(scores).dim;
  args.dtype = dtype_of(op, "scores", scores);
  return args;
}

Tensor segment_softmax(const Tensor& ptr, const OptionalTensor& eid, const Tensor& scores_) {
  const BoundCsr csr("segment_softmax", ptr, std::nullopt, eid);
  const Tensor scores = dense(scores_);
  SoftmaxArgs args = prepare("segment_softmax", csr, scores);
  Tensor out = new_output(scores, with_rows(scores, scores.size(0)));
  args.out = out.data_ptr();
  parallel_rows(csr, scores.numel() * 8,
                [&](int64_t first, int64_t last) { kernels().softmax(args, first, last); });
  return out;
}

Tensor segment_softmax_backward(const Tensor& ptr, const OptionalTensor& eid, const Tensor& value_,
                                const Tensor& grad_) {
  const char* op = "segment_softmax_backward";
  const BoundCsr csr(op, ptr, std::nullopt, eid);
  const Tensor value = dense(value_), grad = dense(grad_);
  SoftmaxArgs args = prepare(op, csr, value);
  check_same_dtype(op, "grad", grad, "out", value.scalar_type());
  check_shape(op, "grad", grad, with_rows(value, value.size(0)));
  Tensor out = new_output(value, with_rows(value, value.size(0)));
  args.grad = grad.data_ptr();
  args.out = out.data_ptr();
  parallel_rows(csr, value.numel() * 4, [&](int64_t first, int64_t last) {
    kernels().softmax_backward(args, first, last);
  });
  return out;
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("segment_expand", TORCH_BOX(&gnnlib::cpu::segment_expand));
  m.impl("segment_softmax", TORCH_BOX(&gnnlib::cpu::segment_softmax));
  m.impl("segment_softmax_backward", TORCH_BOX(&gnnlib::cpu::segment_softmax_backward));
}
