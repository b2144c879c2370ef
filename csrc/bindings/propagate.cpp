// K steps along the edges in one call: bindings that run spmm again and again on two buffers.
#include "../device.h"
#include "spmm.h"

namespace gnnlib {

namespace {

// The steps' common arguments: S = diag(row_scale) A diag(col_scale), square.
struct Steps {
  BoundCsr csr;
  Tensor x;
  OptionalTensor weight, row_scale, col_scale;
  SpmmArgs args;
  int64_t values;

  Steps(const char* op, const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
        const OptionalTensor& weight_, const Tensor& x_, int64_t steps,
        const OptionalTensor& row_scale_, const OptionalTensor& col_scale_)
      : csr(op, ptr, col, eid),
        x(dense(x_)),
        weight(dense(weight_)),
        row_scale(dense(row_scale_)),
        col_scale(dense(col_scale_)) {
    if (steps < 0) fail(op, ": the number of steps must be 0 or more, got ", steps);
    if (x.dim() < 2) fail(op, ": x must have rows and features, got shape ", shape_of(x));
    if (weight) check_shape(op, "weight", *weight, {csr.num_edges});
    if (x.size(0) != csr.num_rows) {
      fail(op, ": x must have one row per node: ptr has ", csr.num_rows, ", got x of shape ",
           shape_of(x));
    }
    args = spmm_args(op, csr, weight, x);
    check_scale(op, "row_scale", row_scale, csr.num_rows, x);
    check_scale(op, "col_scale", col_scale, csr.num_rows, x);
    args.row_scale = pointer(row_scale);
    args.col_scale = pointer(col_scale);
    args.reduce = Reduce::sum;
    values = args.heads * args.dim;
  }

  void run(const void* from, int64_t from_stride, void* to, int64_t to_stride) {
    args.x = from;
    args.x_stride = from_stride;
    args.out = to;
    args.out_stride = to_stride;
    device_of(x).spmm(csr, args);
  }
};

// Slice k of a tensor [N, K + 1, …].
void* slice(const Tensor& t, int64_t k, int64_t values) {
  return static_cast<char*>(t.data_ptr()) + k * values * int64_t(t.element_size());
}

}  // namespace

Tensor propagate(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                 const OptionalTensor& weight, const Tensor& x, int64_t steps, double alpha,
                 const OptionalTensor& row_scale, const OptionalTensor& col_scale) {
  Steps step("propagate", ptr, col, eid, weight, x, steps, row_scale, col_scale);
  const auto sizes = with_rows(step.x, step.csr.num_rows);
  if (steps == 0) return torch::stable::clone(step.x);
  step.args.factor = 1 - alpha;
  step.args.term = alpha == 0 ? nullptr : step.x.data_ptr();
  step.args.term_stride = step.values;
  step.args.term_factor = alpha;
  Tensor out = fresh(step.x, sizes);
  Tensor other = steps > 1 ? fresh(step.x, sizes) : out;
  const void* from = step.x.data_ptr();
  for (int64_t k = 0; k < steps; ++k) {
    void* to = (steps - k) % 2 ? out.data_ptr() : other.data_ptr();  // the last one is out
    step.run(from, step.values, to, step.values);
    from = to;
  }
  return out;
}

Tensor propagate_powers(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                        const OptionalTensor& weight, const Tensor& x, int64_t steps,
                        const OptionalTensor& row_scale, const OptionalTensor& col_scale) {
  Steps step("propagate_powers", ptr, col, eid, weight, x, steps, row_scale, col_scale);
  std::vector<int64_t> sizes{step.csr.num_rows, steps + 1};
  for (int64_t d = 1; d < step.x.dim(); ++d) sizes.push_back(step.x.size(d));
  Tensor out = fresh(step.x, sizes);
  const int64_t row = (steps + 1) * step.values, bytes = step.values * step.x.element_size();
  if (bytes == 0) return out;  // no row has an address then
  device_of(out).spread(out, step.x.data_ptr(), out.data_ptr(), step.csr.num_rows, bytes,
                        (steps + 1) * bytes);
  for (int64_t k = 0; k < steps; ++k) {
    step.run(slice(out, k, step.values), row, slice(out, k + 1, step.values), row);
  }
  return out;
}

Tensor propagate_horner(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                        const OptionalTensor& weight, const Tensor& x_,
                        const OptionalTensor& row_scale, const OptionalTensor& col_scale) {
  const char* op = "propagate_horner";
  const Tensor x = dense(x_);
  if (x.dim() < 3 || x.size(1) == 0) {
    fail(op, ": x must be [N, K + 1, …] with K of 0 or more, got shape ", shape_of(x));
  }
  const int64_t steps = x.size(1) - 1;
  Steps step(op, ptr, col, eid, weight, x, steps, row_scale, col_scale);
  const int64_t row = step.values, values = row / (steps + 1);
  step.args.heads = 1;
  step.args.dim = values;
  std::vector<int64_t> sizes{step.csr.num_rows};
  for (int64_t d = 2; d < x.dim(); ++d) sizes.push_back(x.size(d));
  if (steps == 0) return torch::stable::clone(torch::stable::view(x, sizes));
  Tensor out = fresh(x, sizes);
  Tensor other = steps > 1 ? fresh(x, sizes) : out;
  step.args.term_stride = row;
  step.args.term_factor = 1;
  const void* from = slice(x, steps, values);
  int64_t stride = row;
  for (int64_t k = steps - 1; k >= 0; --k) {
    void* to = k % 2 ? other.data_ptr() : out.data_ptr();
    step.args.term = slice(x, k, values);
    step.run(from, stride, to, values);
    from = to;
    stride = values;
  }
  return out;
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(propagate);
  GNNLIB_OP(propagate_powers);
  GNNLIB_OP(propagate_horner);
}
