// Bindings of coo_to_csr, csr_transpose and csr_add_loops.
#include "../device.h"

namespace gnnlib {

void check_num_rows(const char* op, const char* name, int64_t num_rows, const Tensor& key) {
  if (num_rows < 0) fail(op, ": ", name, " must not be negative, got ", num_rows);
  const bool wide = key.scalar_type() == ScalarType::Long;
  check_wide(op, name, num_rows, wide);
  check_wide(op, "num_edges", key.numel(), wide);
}

Sorted sort_edges(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                  const char* rows_name, int64_t num_rows, bool may_wait) {
  check_num_rows(op, rows_name, num_rows, key);
  return device_of(key).sort(op, key_name, key, value, num_rows, may_wait);
}

std::tuple<Tensor, Tensor, Tensor> coo_to_csr(const Tensor& dst_, const Tensor& src_,
                                              int64_t num_dst) {
  check_index("coo_to_csr", "dst", dst_);
  const Tensor dst = dense(dst_), src = dense(src_);
  check_same_dtype("coo_to_csr", "src", src, "dst", dst.scalar_type());
  check_shape("coo_to_csr", "src", src, {dst.numel()});
  Sorted s = sort_edges("coo_to_csr", "dst", dst, &src, "num_dst", num_dst, true);
  return {s.ptr, s.value, s.position};
}

std::tuple<Tensor, Tensor, Tensor> csr_transpose(const Tensor& ptr, const Tensor& col,
                                                 int64_t num_src) {
  BoundCsr csr("csr_transpose", ptr, col, std::nullopt);
  csr.check_edges("csr_transpose", csr.num_edges);
  const Tensor row = device_of(ptr).row_of_each_edge(csr);
  Sorted s = sort_edges("csr_transpose", "col", *csr.col, &row, "num_src", num_src, true);
  return {s.ptr, s.value, s.position};
}

std::tuple<Tensor, Tensor, Tensor> csr_add_loops(const Tensor& ptr, const Tensor& col,
                                                 const OptionalTensor& eid) {
  BoundCsr csr("csr_add_loops", ptr, col, eid);
  csr.check_edges("csr_add_loops", csr.num_edges);
  if (!csr.wide && csr.num_edges + csr.num_rows > std::numeric_limits<int32_t>::max()) {
    fail("csr_add_loops: ", csr.num_edges, " edges and up to ", csr.num_rows,
         " loops need int64 indices, got int32");
  }
  return device_of(ptr).add_loops(csr);
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(coo_to_csr);
  GNNLIB_OP(csr_transpose);
  GNNLIB_OP(csr_add_loops);
}
