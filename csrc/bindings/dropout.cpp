// Binding of edge_dropout.
#include "../device.h"

namespace gnnlib {

Tensor edge_dropout(const Tensor& x_, const OptionalTensor& eid_, double p, const Tensor& seed) {
  const char* op = "edge_dropout";
  const Tensor x = dense(x_);
  const OptionalTensor eid = dense(eid_);
  if (!(p >= 0 && p <= 1)) fail(op, ": dropout probability p must lie in [0, 1], got ", p);
  if (x.dim() < 1) fail(op, ": x must have rows, got a scalar");
  check_seed(op, seed, x);
  if (eid) {
    check_index(op, "eid", *eid);
    check_shape(op, "eid", *eid, {x.size(0)});
  }
  Tensor out = fresh(x, with_rows(x, x.size(0)));
  DropoutArgs args{};
  args.x = x.data_ptr();
  args.eid = pointer(eid);
  args.out = out.data_ptr();
  device_of(x).set_seed(seed, args.seed, args.device_seed);
  args.threshold = uint32_t(p * (1 << 24));
  args.scale = p < 1 ? 1 / (1 - p) : 0;
  args.heads = flat_rows(x).dim;
  args.dtype = dtype_of(op, "x", x);
  args.wide = eid && eid->scalar_type() == ScalarType::Long;
  device_of(x).dropout(x, args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER { GNNLIB_OP(edge_dropout); }
