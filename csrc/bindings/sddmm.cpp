// Binding of sddmm.
#include "../device.h"
#include "../text.h"

namespace gnnlib {

static EdgeOp op_of(const std::string& name) {
  if (name == "dot") return EdgeOp::dot;
  if (name == "add") return EdgeOp::add;
  if (name == "sub") return EdgeOp::sub;
  if (name == "mul") return EdgeOp::mul;
  if (name == "copy") return EdgeOp::copy;
  fail("sddmm: op must be dot, add, sub, mul or copy, got '", name, "'");
}

Tensor sddmm(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
             const OptionalTensor& a_, const Tensor& b_, Text op) {
  BoundCsr csr("sddmm", ptr, col, eid);
  csr.check_edges("sddmm", csr.num_edges);
  const Tensor b = dense(b_);
  const OptionalTensor a = dense(a_);
  SddmmArgs args{};
  args.csr = csr.view();
  args.op = op_of(op);
  args.dtype = dtype_of("sddmm", "b", b);
  const bool dot = args.op == EdgeOp::dot;
  const int64_t last = dot ? 3 : 2;  // one head less: [num_src, D] or [num_src]
  if (b.dim() != last && b.dim() != last - 1) {
    fail("sddmm: b must be ", dot ? "[num_src, D] or [num_src, H, D]" : "[num_src] or [num_src, H]",
         " for ", op, ", got shape ", shape_of(b));
  }
  check_wide("sddmm", "num_src", b.size(0), csr.wide);
  if (a) {
    check_same_dtype("sddmm", "a", *a, "b", b.scalar_type());
    check_shape("sddmm", "a", *a, with_rows(b, csr.num_rows));
  } else if (args.op != EdgeOp::copy) {
    fail("sddmm: a must be given for ", op);
  }
  args.heads = b.dim() == last ? b.size(1) : 1;
  args.dim = dot ? b.size(b.dim() - 1) : 1;
  args.a = pointer(a);
  args.b = b.data_ptr();
  std::vector<int64_t> sizes{csr.num_edges};
  if (b.dim() == last) sizes.push_back(args.heads);
  Tensor out = fresh(b, sizes);
  args.out = out.data_ptr();
  device_of(b).sddmm(csr, args);
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER { GNNLIB_OP(sddmm); }
