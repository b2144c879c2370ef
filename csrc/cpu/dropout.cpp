// Binding of edge_dropout.
#include "bind.h"

namespace gnnlib::cpu {

Tensor edge_dropout(const Tensor& x_, const OptionalTensor& eid_, double p, const Tensor& seed) {
  const char* op = "edge_dropout";
  const Tensor x = dense(x_);
  const OptionalTensor eid = dense(eid_);
  if (!(p >= 0 && p <= 1)) fail(op, ": dropout probability p must lie in [0, 1], got ", p);
  if (x.dim() < 1) fail(op, ": x must have rows, got a scalar");
  if (seed.scalar_type() != ScalarType::Long || seed.numel() != 1 || !seed.is_cpu()) {
    fail(op, ": seed must be one int64 on the CPU");
  }
  if (eid) {
    check_index(op, "eid", *eid);
    check_shape(op, "eid", *eid, {x.size(0)});
  }
  Tensor out = new_output(x, with_rows(x, x.size(0)));
  DropoutArgs args{};
  args.x = x.data_ptr();
  args.eid = pointer(eid);
  args.out = out.data_ptr();
  args.seed = uint64_t(*static_cast<const int64_t*>(seed.data_ptr()));
  args.threshold = uint32_t(p * (1 << 24));
  args.scale = p < 1 ? 1 / (1 - p) : 0;
  args.heads = flat_rows(x).dim;
  args.dtype = dtype_of(op, "x", x);
  args.wide = eid && eid->scalar_type() == ScalarType::Long;
  parallel_even(x.size(0), x.numel(),
                [&](int64_t first, int64_t last) { kernels().dropout(args, first, last); });
  return out;
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("edge_dropout", TORCH_BOX(&gnnlib::cpu::edge_dropout));
}
